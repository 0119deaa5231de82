/* Prepared starts: what Python decided for `pod run FLAGS IMAGE` or `pod exec FLAGS CONTAINER` once, carried out again
 * while all that it rests on is as it was.
 *
 *   pod.pyz (sh) ── exec ──► pod-helper start PYTHON FOLDER PYZ run FLAGS IMAGE [ARGS]
 *                              │ a file FOLDER/starts/<hash of the words up to IMAGE> fits, its inputs are unchanged
 *                              ├── yes: the container's folder, name and plan are made here; the process becomes the client
 *                              └── no:  exec PYTHON FOLDER/_pod_run.py …, told by $POD_PREPARED to leave or renew the file
 *
 * The file is a plan (core/plan.h) with further keys P_*; core/container/prepared.py writes it and lists the inputs.
 * An empty file says that these words came once before: the next start is recorded. A file too short for a plan says
 * why starts with these words are not recorded; after an hour that is tried again.
 * A start (not an exec) that was recorded a day ago goes by Python, which notes that the image is used, and is recorded anew.
 * A file whose inputs changed is recorded anew, every ten seconds at most. How it may go wrong, and that nothing is left
 * behind or taken from others, is in tests/ext/test_prepared_faults.py.
 * The folder is the user's own and as trusted as the code beside it; every offset is checked all the same. */
#ifndef POD_PREPARED_H
#define POD_PREPARED_H

#include "plan.h"
#include "text.h"

enum pod_prepared_flags {
    POD_PREPARED_ARGS = 1 << 0, /* the recorded command had arguments after IMAGE */
    POD_PREPARED_SYNC = 1 << 1, /* the record is to survive a crash of the machine: fsync */
    POD_PREPARED_EXEC = 1
        << 2, /* one more process in a running container: nothing to be made on disk */
};

/* P_FLAGS from this bit on: how many processors are each start's own; 0: as recorded. */
#define POD_PREPARED_TURN 32

/* struct pod_input.kind; v[] in the order named. TEXT is an offset into P_TEXT; a second string follows the first. */
enum pod_input_kind {
    POD_INPUT_FILE = 1, /* the same file, unchanged: dev, ino, size, mtime, ctime in ns */
    POD_INPUT_PLACE = 2, /* the same folder, device or namespace: dev, ino, mode, uid, rdev */
    POD_INPUT_LISTING = 3, /* a folder with the same entries: dev, ino, mode, mtime, ctime */
    POD_INPUT_ABSENT = 4, /* stat(2) fails with: errno */
    POD_INPUT_LINK = 5, /* readlink(2) gives the second string */
    POD_INPUT_CONTENT = 6, /* the file's content is the second string (/proc) */
    POD_INPUT_HAS = 7, /* the file's content has the second string in it (/proc/self/status) */
    POD_INPUT_ACCESS = 8, /* access(2): mode, 1 allowed or 0 */
    POD_INPUT_CWD = 9, /* the working directory */
    POD_INPUT_TTY = 10, /* isatty(3): descriptor, 0 or 1 */
    POD_INPUT_ENV =
        11, /* an environment variable: set (then the second string is its value) or not */
    POD_INPUT_IDS = 12, /* effective uid, effective gid, number of the groups, a hash of them */
    POD_INPUT_UNAME = 13, /* uname(2): "nodename release machine" */
    POD_INPUT_PROCESS =
        14, /* /proc/PID/stat of another process, which lives: its start in ticks after boot */
    POD_INPUT_PROCESSORS = 15, /* sched_getaffinity(2): how many */
    POD_INPUT_NOFOLLOW = 0x100, /* a bit: lstat(2) instead of stat(2) */
};

struct pod_input {
    uint32_t kind;
    uint32_t text;
    uint64_t v[5];
};

enum pod_patch_kind { POD_PATCH_ID = 1, POD_PATCH_NAME = 2 };

/* LENGTH bytes at OFFSET of the file are the first ones of the recorded id, or the recorded name. */
struct pod_patch {
    uint32_t offset;
    uint32_t kind;
    uint32_t length;
};

/* In templates a byte 1 and a letter stand for what differs from start to start. */
enum pod_template_mark {
    POD_MARK_ID = 'I', /* 64 hex digits */
    POD_MARK_SHORT_ID = 'i', /* the first twelve */
    POD_MARK_NAME = 'N',
    POD_MARK_TIME = 'T', /* RFC 3339 with nanoseconds */
    POD_MARK_PID = 'P',
    POD_MARK_PID_START = 'S',
    POD_MARK_PATH = 'A', /* JSON: what is executed */
    POD_MARK_REST = 'R', /* JSON: its arguments */
    POD_MARK_COMMAND = 'C', /* JSON: the words after IMAGE */
};

/* One start in the making. */
struct pod_instance {
    struct pod_plan *plan; /* of the file; patched in place, in memory only */
    char **args; /* after IMAGE, NULL-terminated */
    char **argv; /* P_ENTRY and ARGS, where the file has POD_PREPARED_ARGS */
    const char *name;
    const char *places[5]; /* P_PLACES */
    char id[65];
    char created[40];
    int lock;
    /* what there is to take back */
    char temporary[4352], final[4352], name_path[4352], run_folder[4352];
};

/* argv: PYTHON FOLDER PYZ run …; does not return. Python is told in $POD_PREPARED what to do: a letter ('m' nothing is
 * known of these words, leave a mark; 'r' record this start), 16 digits of the hash's state before the first word, and
 * the folder of the files. */
_Noreturn void pod_prepared_main(int argc, char **argv);
/* Whether everything that the file rests on is as it was. */
int pod_prepared_holds(const struct pod_plan *plan);
/* Makes id, name, folders and files; 0, or -1 with nothing left behind. */
int pod_prepared_make(struct pod_instance *instance);
/* Takes back what pod_prepared_make did. */
void pod_prepared_undo(struct pod_instance *instance);
/* memfd_create(2) with FLAGS and what Linux 6.3 and later want to be told, NEWER; -1 and errno. */
#define POD_MEMORY_NOEXEC_SEAL 0x8u
#define POD_MEMORY_EXEC 0x10u
int pod_prepared_memory(const char *name, unsigned flags, unsigned newer);
/* How many processors this process may run on. */
unsigned pod_prepared_processors(void);
/* Whether KEY's value depends on whose turn it is on the processors; then it is added to TEXT. */
int pod_prepared_turn(const struct pod_instance *instance, uint32_t key, struct pod_text *text);
/* A memory file with the plan of this start; -1 where that fails. */
int pod_prepared_plan(const struct pod_instance *instance);

#endif
