/* What lies on disk about owners and changes: the attribute, a sidecar's rows, a layer's owners file, changes.json. The first
 * byte says which. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../ext/src/emulator/records.h"
#include "../../ext/src/helper/restart.h"
#include "../../ext/src/layer/owners.h"
#include "fuzz.h"

static int scratch = -1;

static void attribute(const uint8_t *data, size_t size)
{
    const uint8_t *from = data;
    char *text = fuzz_text(&from, &size), again[80];
    size_t length = strlen(text);
    struct pod_owned owned;

    if (pod_owner_parse(text, length, &owned)) { /* what is believed is what would be written */
        CLAIM(pod_owner_text(&owned, again, sizeof again) == (int)length);
        CLAIM(!memcmp(text, again, length));
    }
    free(text);
}

static void on_row(void *context, const struct pod_record *row)
{
    CLAIM(row->check == pod_record_check(row));
    ++*(unsigned *)context;
}

static void sidecar(const uint8_t *data, size_t size)
{
    struct pod_sidecar opened;
    struct pod_record row = {.ino = 7, .uid = 8, .gid = 9};
    unsigned before = 0, after = 0;
    int fd = openat(scratch, "owners", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CLAIM(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    pod_sidecar_open(&opened, scratch, "owners", size & 1 ? POD_SIDECAR_TEMPORARY : 0);
    CLAIM(opened.fd >= 0);
    pod_sidecar_read(&opened, on_row, &before);
    CLAIM(!pod_sidecar_add(&opened, &row));
    opened.read = 0;
    pod_sidecar_read(&opened, on_row, &after);
    CLAIM(after >= before); /* what was torn may hide the row behind it, never one before */
    close(opened.fd);
}

static void one_owner(const struct pod_owners *owners, size_t number)
{
    const unsigned char *value;
    const char *name;
    struct pod_owner owner, found;
    size_t at = 0, name_length, value_length, first, end;
    volatile unsigned sum = 0;

    pod_owners_at(owners, number, &owner);
    CLAIM(strlen(owner.path) == owner.path_length);
    pod_owners_find(owners, owner.path, &found);
    pod_owners_range(owners, owner.path, owner.path_length, &first, &end);
    CLAIM(first <= owners->count && end <= owners->count); /* in no order, perhaps */
    while (pod_owners_xattr(&owner, &at, &name, &name_length, &value, &value_length))
        for (size_t i = 0; i < name_length + value_length; i++)
            sum += i < name_length ? (unsigned char)name[i] : value[i - name_length];
}

static void owners(const uint8_t *data, size_t size)
{
    struct pod_owners owners;
    struct pod_err err;
    int fd = fuzz_file(data, size);

    if (!pod_owners_map(fd, &owners, &err)) {
        for (size_t i = 0; i < owners.count && i < 1000; i++)
            one_owner(&owners, i);
        pod_owners_unmap(&owners);
    }
    close(fd);
}

static void changes(const uint8_t *data, size_t size)
{
    struct pod_restart restart = {.first = 100, .last = 60000};
    char value[64];
    int fd = openat(scratch, "changes.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CLAIM(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    if (!pod_changes_read(scratch, "Name", value, sizeof value))
        CLAIM(strlen(value) < sizeof value && !strchr(value, '"'));
    for (int i = 0; i < 3; i++) {
        int64_t pause = pod_restart_pause(&restart, scratch, i);
        CLAIM(pause >= -1 && pause <= 60000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const uint8_t *, size_t) = {attribute, sidecar, owners, changes};

    if (scratch < 0)
        scratch = fuzz_scratch();
    if (size)
        kinds[data[0] % 4](data + 1, size - 1);
    return 0;
}

/* A row counts by its check, an owners file by what its header says of its size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    struct pod_record row;
    uint64_t whole;

    size = LLVMFuzzerMutate(data, size, room);
    if (seed % 4 == 0 || size < 2)
        return size;
    if (data[0] % 4 == 1)
        for (size_t at = 1; at + sizeof row <= size; at += sizeof row) {
            memcpy(&row, data + at, sizeof row);
            row.check = pod_record_check(&row);
            memcpy(data + at, &row, sizeof row);
        }
    if (data[0] % 4 == 2 && size > 65) {
        whole = size - 1;
        memcpy(data + 1, POD_OWNERS_MAGIC, 8);
        memcpy(data + 1 + 32, &whole, sizeof whole);
    }
    return size;
}
