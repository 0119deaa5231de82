/* What a container writes, on its way into a log: escaped as JSON (and read back here by a decoder of this file's own),
 * compressed (and decompressed by zlib), as fields for journald. The first byte says which, the second how. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../../ext/src/helper/logger_file.h"
#include "../../ext/src/helper/logger_gzip.h"
#include "../../ext/src/helper/logger_remote.h"
#include "../../ext/src/helper/text.h"
#include "../../ext/src/helper/utf8.h"
#include "fuzz.h"

#define ROOM 4096

static int scratch = -1;

/* TEXT is the inside of a JSON string for the LENGTH bytes at BYTES, nothing more and nothing less. */
static void check_json(const char *text, size_t size, const uint8_t *bytes, size_t length)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t at = 0, i = 0;

    while (at < size) {
        unsigned char c = (unsigned char)text[at];
        size_t good = i < length ? pod_utf8_length(bytes + i, length - i) : 0;
        CLAIM(i < length && c >= 0x20 && c != '"');
        if (c != '\\') {
            size_t whole = pod_utf8_length((const unsigned char *)text + at, size - at);
            CLAIM(whole && whole == good && !memcmp(text + at, bytes + i, whole));
            at += whole;
            i += whole;
        } else if (text[at + 1] == 'u') {
            char digits[5] = {0};
            CLAIM(at + 6 <= size);
            memcpy(digits, text + at + 2, 4);
            unsigned long value = strtoul(digits, NULL, 16);
            CLAIM(good ? value == bytes[i] && good == 1 : value == 0xfffd);
            at += 6;
            i++;
        } else {
            const char *name = strchr(names, text[at + 1]);
            CLAIM(at + 2 <= size && name && *name && values[name - names] == (char)bytes[i]);
            at += 2;
            i++;
        }
    }
    CLAIM(i == length);
}

static void escape(const uint8_t *data, size_t size, unsigned how)
{
    size_t room = 32 + how * 3, taken, used, given = size - (how & 1 && size ? 1 : 0);
    char *out = malloc(room);

    CLAIM(out);
    for (size_t at = 0; at < given; at += taken) {
        used = pod_log_escape(out, room, (const char *)data + at, given - at, size - at, &taken);
        CLAIM(used <= room && taken && taken <= given - at);
        check_json(out, used, data + at, taken);
    }
    free(out);
}

static void escape_line(const uint8_t *data, size_t size, unsigned how)
{
    size_t room = 32 + how * 3, wrote, took;
    char *out = malloc(room);

    CLAIM(out);
    for (size_t at = 0; at < size; at += took) {
        took = pod_log_escape_line(out, room, (const char *)data + at, size - at, &wrote);
        if (!took)
            break;
        CLAIM(took <= size - at && wrote <= room && data[at + took - 1] == '\n');
        CLAIM(!memchr(data + at, '\n', took - 1));
        check_json(out, wrote, data + at, took - 1);
    }
    free(out);
}

static void quote(const uint8_t *data, size_t size)
{
    struct pod_text text = {0};

    pod_text_add_string(&text, (const char *)data, size);
    CLAIM(!text.failed && text.used >= 2 && text.bytes[0] == '"');
    check_json(text.bytes + 1, text.used - 2, data, size);
    free(text.bytes);
}

static void compress_file(const uint8_t *data, size_t size, unsigned repeats)
{
    unsigned char *again = malloc(size * (repeats + 1) + 1);
    int fd = openat(scratch, "log.1", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char path[64];

    CLAIM(again && fd >= 0);
    for (unsigned i = 0; i <= repeats; i++)
        CLAIM(write(fd, data, size) == (ssize_t)size);
    close(fd);
    CLAIM(pod_log_gzip(scratch, "log.1", ".log.1.gz", "log.1.gz"));
    snprintf(path, sizeof path, "/proc/self/fd/%d/log.1.gz", scratch);
    gzFile file = gzopen(path, "rb");
    CLAIM(file);
    size_t whole = size * (repeats + 1);
    CLAIM(gzread(file, again, (unsigned)whole + 1) == (int)whole);
    CLAIM(gzclose(file) == Z_OK);
    for (unsigned i = 0; i <= repeats; i++)
        CLAIM(!memcmp(again + i * size, data, size));
    free(again);
}

static void journald(const uint8_t *data, size_t size, unsigned how)
{
    static struct pod_log_remote remote;
    static const struct pod_plan nothing;
    const struct timespec when = {(time_t)how << 24, how};

    remote.plan = &nothing;
    pod_log_journald_compose(&remote, how & 1 ? 2 : 1, (const char *)data, size, &when);
    CLAIM(remote.used <= sizeof remote.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (scratch < 0)
        scratch = fuzz_scratch();
    if (size < 2)
        return 0;
    unsigned kind = data[0] % 5, how = data[1];
    data += 2;
    size -= 2;
    if (kind == 0)
        escape(data, size, how);
    else if (kind == 1)
        escape_line(data, size, how);
    else if (kind == 2)
        quote(data, size);
    else if (kind == 3)
        compress_file(data, size, how % 64);
    else
        journald(data, size, how);
    return 0;
}
