/* Parts of the emulator behind a command line, for test_emulator_parts.py; prints findings and ends with 1 where there is one.
 *
 *   creds SEED ROUNDS        random set*id(2) by this process, real ones, beside creds.c's: the same errors, the same ids
 *   rules SEED ROUNDS        creds.c alone: what must hold whatever is called, and that its table keeps what it was given
 *   attribute SEED ROUNDS    mutated texts of user.pod.owner: what is believed is what would be written
 *   sidecar FILE…            reads each as a container's sidecar; prints how many records it took
 *   owners SEED ROUNDS FILE  mutates a layer's file of owners and reads it to the end */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../ext/src/emulator/records.c"
#include "../../ext/src/layer/owners.h"
#include "creds.h"

static uint64_t state;

static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % below;
}

/* --- ids ------------------------------------------------------------------------------------------------------ */

static const uint32_t some[] = {0, 0, 1, 2, 33, 1000, 65534, 0xffffffffu};

struct step {
    int uids, kind, keep;
    uint32_t ids[3], count, groups[8];
};

static struct step any_step(void)
{
    struct step step = {.uids = (int)any(2), .kind = (int)any(6), .keep = (int)any(2)};

    for (int i = 0; i < 3; i++)
        step.ids[i] = some[any(sizeof some / sizeof *some)];
    step.count = any(6);
    for (uint32_t i = 0; i < step.count; i++)
        step.groups[i] = some[any(any(8) ? 7 : 8)];
    return step;
}

static int in_model(struct pod_creds *creds, const struct step *step)
{
    switch (step->kind) {
    case 0:
        return pod_creds_set(creds, step->uids, step->ids[0]);
    case 1:
        return pod_creds_setre(creds, step->uids, step->ids[0], step->ids[1]);
    case 2:
        return pod_creds_setres(creds, step->uids, step->ids);
    case 3:
        pod_creds_setfs(creds, step->uids, step->ids[0]);
        return 0;
    case 4:
        return pod_creds_setgroups(creds, step->groups, step->count);
    default:
        creds->flags = (creds->flags & ~(uint32_t)POD_CREDS_KEEP) | (step->keep ? POD_CREDS_KEEP : 0);
        return 0;
    }
}

static int for_real(const struct step *step)
{
    long done;

    switch (step->kind) {
    case 0:
        done = syscall(step->uids ? SYS_setuid : SYS_setgid, step->ids[0]);
        break;
    case 1:
        done = syscall(step->uids ? SYS_setreuid : SYS_setregid, step->ids[0], step->ids[1]);
        break;
    case 2:
        done = syscall(step->uids ? SYS_setresuid : SYS_setresgid, step->ids[0], step->ids[1], step->ids[2]);
        break;
    case 3:
        syscall(step->uids ? SYS_setfsuid : SYS_setfsgid, step->ids[0]);
        return 0;
    case 4:
        done = syscall(SYS_setgroups, step->count, step->groups);
        break;
    default:
        done = prctl(PR_SET_KEEPCAPS, step->keep, 0, 0, 0);
    }
    return done ? -errno : 0;
}

/* What setpriv(1) and the like do after they have kept their capabilities. */
static void raise_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data))
        return;
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted;
    syscall(SYS_capset, &header, data);
}

static void real_ids(struct pod_creds *creds)
{
    uint32_t *u = creds->uid, *g = creds->gid;

    memset(creds, 0, sizeof *creds);
    syscall(SYS_getresuid, &u[POD_ID_REAL], &u[POD_ID_EFFECTIVE], &u[POD_ID_SAVED]);
    syscall(SYS_getresgid, &g[POD_ID_REAL], &g[POD_ID_EFFECTIVE], &g[POD_ID_SAVED]);
    u[POD_ID_FS] = (uint32_t)syscall(SYS_setfsuid, -1);
    g[POD_ID_FS] = (uint32_t)syscall(SYS_setfsgid, -1);
    long count = syscall(SYS_getgroups, 100, creds->groups);
    creds->group_count = count < 0 ? 999 : (uint32_t)count;
    if ((uint32_t)syscall(SYS_getuid) != u[POD_ID_REAL] ||
        (uint32_t)syscall(SYS_geteuid) != u[POD_ID_EFFECTIVE] ||
        (uint32_t)syscall(SYS_getgid) != g[POD_ID_REAL] ||
        (uint32_t)syscall(SYS_getegid) != g[POD_ID_EFFECTIVE])
        creds->group_count = 998;
}

static void show(const char *who, int result, const struct pod_creds *c)
{
    printf("  %-6s %4d  uid %u %u %u %u  gid %u %u %u %u  groups", who, result, c->uid[0], c->uid[1], c->uid[2],
           c->uid[3], c->gid[0], c->gid[1], c->gid[2], c->gid[3]);
    for (uint32_t i = 0; i < c->group_count && i < 8; i++)
        printf(" %u", c->groups[i]);
    printf("%s\n", c->group_count > 8 ? " …" : "");
}

/* One process' life; a fork begins as root again. */
static int one_life(void)
{
    struct pod_creds model, real;
    int steps = 2 + (int)any(14);

    memset(&model, 0, sizeof model);
    if (syscall(SYS_setgroups, 0, NULL))
        return printf("setgroups: %s\n", strerror(errno)), 1;
    for (int i = 0; i < steps; i++) {
        struct step step = any_step();
        int expected = in_model(&model, &step), result = for_real(&step);
        if (model.flags == (POD_CREDS_KEEP | POD_CREDS_CAPABLE))
            raise_capabilities();
        real_ids(&real);
        if (result == expected && !memcmp(model.uid, real.uid, sizeof real.uid) &&
            !memcmp(model.gid, real.gid, sizeof real.gid) && model.group_count == real.group_count &&
            !memcmp(model.groups, real.groups, real.group_count * sizeof *real.groups))
            continue;
        printf("step %d: kind %d, %s %u %u %u, keep %d, %u groups %u %u %u\n", i, step.kind,
               step.uids ? "uids" : "gids", step.ids[0], step.ids[1], step.ids[2], step.keep, step.count,
               step.groups[0], step.groups[1], step.groups[2]);
        show("model", expected, &model);
        show("real", result, &real);
        return 1;
    }
    return 0;
}

static int creds(unsigned long rounds)
{
    int found = 0, status;

    for (unsigned long i = 0; i < rounds && found < 5; i++) {
        fflush(stdout);
        any(2);
        pid_t pid = fork();
        if (pid == 0) {
            int bad = one_life();
            fflush(stdout);
            _exit(bad);
        }
        for (int k = 0; k < 20; k++) /* the child's choices are its own */
            any(2);
        if (waitpid(pid, &status, 0) != pid || status)
            found++;
    }
    printf("%lu lives, %d differ\n", rounds, found);
    return found != 0;
}

static int rules(unsigned long rounds)
{
    static struct pod_creds now, root, kept[64];
    int tokens[64];
    struct pod_creds_table table;

    if (pod_creds_begin(&table, &root))
        return 2;
    for (unsigned long i = 0; i < rounds; i++) {
        struct step step = any_step();
        struct pod_creds before = now;
        int result = in_model(&now, &step), place = (int)(i % 64);
        if (result && memcmp(&before, &now, sizeof now))
            return printf("%lu: a refused change changed something\n", i), 1;
        for (int k = 0; k < 4; k++)
            if (now.uid[k] == 0xffffffffu || now.gid[k] == 0xffffffffu)
                return printf("%lu: an id of -1\n", i), 1;
        if (!pod_creds_capable(&before) && pod_creds_capable(&now) && before.uid[0] && before.uid[2])
            return printf("%lu: capable out of nothing\n", i), 1;
        kept[place] = now;
        tokens[place] = pod_creds_intern(&table, &now);
        for (int k = 0; k <= place; k++) {
            const struct pod_creds *found =
                tokens[k] < 0 ? NULL : pod_creds_of(&table, POD_SLACK_BASE + (uint64_t)tokens[k]);
            if (found && (memcmp(found, &kept[k], offsetof(struct pod_creds, groups)) ||
                          memcmp(found->groups, kept[k].groups, found->group_count * sizeof(uint32_t))))
                return printf("%lu: token %d is somebody else\n", i, tokens[k]), 1;
        }
        if (any(40) == 0)
            memset(&now, 0, sizeof now);
    }
    static const uint64_t odd[] = {0, 1, POD_SLACK_BASE - 1, POD_SLACK_BASE + POD_CREDS_MAX, UINT64_MAX, 1ull << 32};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (pod_creds_of(&table, odd[i]) != table.sets[0])
            return printf("slack %llu is somebody\n", (unsigned long long)odd[i]), 1;
    uint32_t sets = table.count, large = 0;
    for (now.group_count = POD_CREDS_GROUPS; large < 3000; large++) {
        now.groups[0] = large;
        if (pod_creds_intern(&table, &now) < 0)
            break;
    }
    if (large == 3000 || table.bytes > POD_CREDS_BYTES)
        return printf("sets of %u bytes\n", table.bytes), 1;
    printf("%lu changes, %u sets\n", rounds, sets);
    return 0;
}

/* --- records -------------------------------------------------------------------------------------------------- */

static int attribute(unsigned long rounds)
{
    static const char pieces[] = "0123456789:::cb-+ \t\n\rx.%\1\377";
    char text[80], again[80];
    struct pod_owned owned;
    unsigned long believed = 0;

    for (unsigned long i = 0; i < rounds; i++) {
        int length = snprintf(text, sizeof text, any(2) ? "%u:%u" : "%u:%u:c:%u:%u", any(70000), any(2) ? 0 : 4294967295u - any(3),
                              any(300), any(300));
        for (uint32_t k = any(4); k; k--) {
            int at = (int)any((uint32_t)length + 1);
            if (any(3) || length > 60) {
                text[at] = pieces[any(sizeof pieces - 1)];
            } else {
                memmove(text + at + 1, text + at, (size_t)(length - at) + 1);
                text[at] = pieces[any(sizeof pieces - 1)];
                length++;
            }
            text[length] = '\0';
        }
        if (!pod_owner_parse(text, (size_t)length, &owned))
            continue;
        believed++;
        int written = pod_owner_text(&owned, again, sizeof again);
        if (written != length || memcmp(text, again, (size_t)length))
            return printf("believed: '%s', is '%s'\n", text, again), 1;
    }
    printf("%lu texts, some believed %d, some not %d\n", rounds, believed > 0, believed < rounds);
    return 0;
}

static int sidecar(char **files)
{
    for (; *files; files++) {
        struct pod_records records = {.places = 1, .upper = -1};
        records.sidecars[0].fd = open(*files, O_RDONLY | O_CLOEXEC);
        if (records.sidecars[0].fd < 0)
            return perror(*files), 1;
        read_on(&records, POD_PLACE_CONTAINER);
        printf("%u\n", records.own.count);
        pod_records_end(&records);
    }
    return 0;
}

static int owners(unsigned long rounds, const char *file)
{
    static unsigned char whole[1 << 16], data[1 << 16];
    struct pod_owners owners;
    struct pod_owner owner;
    struct pod_err err;
    unsigned long sound = 0;
    int from = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(from, whole, sizeof whole);

    for (unsigned long i = 0; size > 64 && i < rounds; i++) {
        size_t length = any(4) ? (size_t)size : any((uint32_t)size);
        memcpy(data, whole, (size_t)size);
        for (uint32_t k = any(5); k; k--) {
            uint32_t at = any(2) ? any((uint32_t)size) : any(3) ? any(64) : (uint32_t)size - 1 - any(64);
            data[at] = any(2) ? (unsigned char)any(256) : (unsigned char)"\0\1\177\200\377\10"[any(6)];
        }
        if (any(2)) /* a header that agrees with what was cut */
            memcpy(data + 32, &length, sizeof length);
        int memory = memfd_create("owners", MFD_CLOEXEC);
        if (write(memory, data, length) != (ssize_t)length)
            return 2;
        if (!pod_owners_map(memory, &owners, &err)) {
            sound++;
            for (size_t k = 0; k < owners.count; k++) {
                const char *name;
                const unsigned char *value;
                size_t at = 0, name_length, value_length, first, end;
                volatile unsigned sum = 0;
                pod_owners_at(&owners, k, &owner);
                if (strlen(owner.path) != owner.path_length)
                    return printf("%lu: a path with a NUL\n", i), 1;
                pod_owners_find(&owners, owner.path, &owner);
                pod_owners_at(&owners, k, &owner);
                pod_owners_range(&owners, owner.path, owner.path_length, &first, &end);
                while (pod_owners_xattr(&owner, &at, &name, &name_length, &value, &value_length))
                    for (size_t b = 0; b < name_length + value_length; b++)
                        sum += b < name_length ? (unsigned char)name[b] : value[b - name_length];
            }
            pod_owners_unmap(&owners);
        }
        close(memory);
    }
    close(from);
    printf("%lu files, some sound %d, some not %d\n", rounds, sound > 0, sound < rounds);
    return 0;
}

int main(int argc, char **argv)
{
    state = argc > 2 ? strtoull(argv[2], NULL, 10) * 2654435761u + 88172645463325252ull : 1;
    unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc > 3 && !strcmp(argv[1], "creds"))
        return creds(rounds);
    if (argc > 3 && !strcmp(argv[1], "rules"))
        return rules(rounds);
    if (argc > 3 && !strcmp(argv[1], "attribute"))
        return attribute(rounds);
    if (argc > 4 && !strcmp(argv[1], "owners"))
        return owners(rounds, argv[4]);
    if (argc > 2 && !strcmp(argv[1], "sidecar"))
        return sidecar(argv + 2);
    return 3;
}
