/* journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an entry, of fields KEY=value\n, or
 * KEY\n, eight bytes of length, value\n. The fields are Docker's. */
#include <stdio.h>
#include <string.h>

#include "logger_file.h"
#include "logger_remote.h"

static void add(struct pod_log_remote *remote, const char *bytes, size_t length)
{
    if (length > sizeof remote->message - remote->used)
        length = sizeof remote->message - remote->used;
    memcpy(remote->message + remote->used, bytes, length);
    remote->used += length;
}

static void add_text(struct pod_log_remote *remote, const char *text)
{
    add(remote, text, strlen(text));
}

/* KEY=value, where the value may have newlines. */
static void add_field(struct pod_log_remote *remote, const char *field)
{
    const char *value = strchr(field, '=');
    uint64_t length;

    if (!value || !strchr(value, '\n')) {
        add_text(remote, field);
        add(remote, "\n", 1);
        return;
    }
    length = strlen(value + 1);
    add(remote, field, (size_t)(value - field));
    add(remote, "\n", 1);
    add(remote, (const char *)&length, sizeof length);
    add_text(remote, value + 1);
    add(remote, "\n", 1);
}

/* Of a line that was cut; all but its last part have PARTIAL_MESSAGE. */
static void add_part(struct pod_log_remote *remote, int i, int whole, const struct timespec *when)
{
    char fields[192];

    if (whole && !remote->parts[i])
        return;
    if (!remote->parts[i]++)
        remote->line[i] =
            (unsigned long long)when->tv_sec * 1000000000u + (unsigned long long)when->tv_nsec;
    snprintf(fields, sizeof fields,
             "%sCONTAINER_PARTIAL_ID=%016llx%x\nCONTAINER_PARTIAL_ORDINAL=%llu\n"
             "CONTAINER_PARTIAL_LAST=%s\n",
             whole ? "" : "CONTAINER_PARTIAL_MESSAGE=true\n", remote->line[i], i, remote->parts[i],
             whole ? "true" : "false");
    add_text(remote, fields);
    if (whole)
        remote->parts[i] = 0;
}

void pod_log_journald_compose(struct pod_log_remote *remote, int stream, const char *bytes,
                              size_t length, const struct timespec *when)
{
    uint32_t count = pod_plan_strv_count(remote->plan, POD_KEY_LOG_TEXTS);
    const char *field = pod_plan_str(remote->plan, POD_KEY_LOG_TEXTS);
    int whole = length && bytes[length - 1] == '\n';
    char stamp[POD_STAMP + 1] = "";
    uint64_t size = length - (whole ? 1 : 0);

    remote->used = 0;
    add_text(remote, "MESSAGE\n");
    add(remote, (const char *)&size, sizeof size);
    add(remote, bytes, size);
    add_text(remote, stream == 2 ? "\nPRIORITY=3\n" : "\nPRIORITY=6\n");
    pod_log_stamp(stamp, when);
    add_text(remote, "SYSLOG_TIMESTAMP=");
    add_text(remote, stamp);
    add_text(remote, "\n");
    add_part(remote, stream == 2, whole, when);
    for (uint32_t i = 0; i < count; i++, field += strlen(field) + 1)
        add_field(remote, field);
}
