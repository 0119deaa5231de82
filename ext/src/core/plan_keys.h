/* The keys of plan.bin: POD_KEY(number, name, type). core/runtime/plan.py has the same table; a unit test compares them.
 *
 * types: U64 eight bytes; STR NUL-terminated; STRV a run of NUL-terminated strings; BLOB bytes (aligned to 8) */
/* clang-format off */
#define POD_KEYS(POD_KEY) \
    POD_KEY(1,  ID,          STR)  /* the container's id, 64 hex digits: for who looks at a plan */ \
    POD_KEY(2,  FLAGS,       U64)  /* enum pod_plan_flags */ \
    POD_KEY(3,  DIR,         STR)  /* the container's folder in the store: state.json, log */ \
    POD_KEY(4,  SOCKET_DIR,  STR)  /* folder in the run directory that gets the control socket "ctl" */ \
    POD_KEY(5,  EXPLAIN,     STRV) /* argv of the Python call that words a failure */ \
    POD_KEY(6,  NAMESPACES,  U64)  /* CLONE_NEW* to make */ \
    POD_KEY(7,  UID_MAP,     BLOB) /* struct pod_id_extent[]: what newuidmap is to map (ranges), or the one extent */ \
    POD_KEY(8,  GID_MAP,     BLOB) \
    POD_KEY(9,  NEWUIDMAP,   STR)  /* absent: a single id, written without a helper */ \
    POD_KEY(10, NEWGIDMAP,   STR) \
    POD_KEY(11, PINS,        STR)  /* folder of the pins of mapped user namespaces with this map */ \
    POD_KEY(12, LOWERS,      STRV) /* layers, topmost first; absent: ROOT is a plain tree */ \
    POD_KEY(13, UPPER,       STR) \
    POD_KEY(14, WORK,        STR) \
    POD_KEY(15, ROOT,        STR)  /* where the root is mounted in the private namespace, or the plain tree */ \
    POD_KEY(16, OVERLAY,     STR)  /* further overlay options: "userxattr,volatile" */ \
    POD_KEY(17, MOUNTS,      BLOB) /* struct pod_mount[], string offsets are into STRINGS */ \
    POD_KEY(18, STRINGS,     BLOB) /* NUL-terminated strings of MOUNTS; ends with a NUL */ \
    POD_KEY(19, HOSTNAME,    STR) \
    POD_KEY(20, DOMAINNAME,  STR) \
    POD_KEY(21, ARGV,        STRV) \
    POD_KEY(22, ENV,         STRV) \
    POD_KEY(23, CWD,         STR) \
    POD_KEY(24, USER,        STR)  /* "user[:group]" by name or number, looked up inside the root */ \
    POD_KEY(25, GROUPS,      STRV) /* --group-add, by name or number */ \
    POD_KEY(26, CAPS,        U64)  /* bounding set, and what root gets */ \
    POD_KEY(27, SECCOMP,     BLOB) /* struct sock_filter[] */ \
    POD_KEY(28, RLIMITS,     BLOB) /* struct pod_rlimit[] */ \
    POD_KEY(29, SYSCTLS,     STRV) /* path below /proc/sys, value, path, value … */ \
    POD_KEY(30, DETACH_KEYS, BLOB) /* bytes of the detach sequence */ \
    POD_KEY(31, HOST,        STR)  /* JSON members that say which machine and boot this is */ \
    POD_KEY(32, REMOVE,      STRV) /* for --rm: paths that are renamed into TRASH, in this order */ \
    POD_KEY(33, TRASH,       STR) \
    POD_KEY(34, PRINT,       STR)  /* what -d prints when the container has started */ \
    POD_KEY(35, WINSIZE,     U64)  /* rows << 16 | columns to begin with */ \
    POD_KEY(36, PID,         U64)  /* exec: the container's first process */ \
    POD_KEY(37, PID_START,   U64)  /* exec: its start time, clock ticks after boot */ \
    POD_KEY(38, WARNING,     STR)  /* said on stderr by the client once the container has started */ \
    POD_KEY(39, LOCK,        U64)  /* descriptor of the container's lock, held by the client until the start is recorded */ \
    POD_KEY(52, NOTIFY,      BLOB) /* struct sock_filter[]: the calls that the emulator answers; beside SECCOMP, or for both (ONE_FILTER) */ \
    POD_KEY(53, BASIC,       BLOB) /* struct sock_filter[]: what takes NOTIFY's place where there can be no listener */ \
    POD_KEY(56, RECORDS,     STRV) /* folders of the files "owners": of all bind mounts, then of each volume of the container */ \
    POD_KEY(54, PRELOAD,     STRV) /* the library that answers in programs, and a layer that has glibc load it (preload.h) */ \
    POD_KEY(55, FEWER,       BLOB) /* struct sock_filter[]: NOTIFY where that library is in force; with real ids: where devices were made before */ \
    POD_KEY(110, EVENTS,     STRV) /* of an event: the store's folder, name, image (JSON), labels (JSON members), what the client tells first (helper/event.h) */ \
    POD_KEY(90, HEALTH,      BLOB) /* struct pod_health_settings (helper/health.h): absent: no health check */ \
    POD_KEY(91, HEALTH_ARGV, STRV) /* what a probe runs, with ENV, USER, CWD and all limits of the container */ \
    POD_KEY(92, HEALTH_LATE, STR)  /* what is said of a probe that took too long */ \
    POD_KEY(101, VOLUMES,    STRV) /* for events: of each volume its name, where it is mounted, "true" if it may be written */ \
    POD_KEY(100, IMAGE_LOWERS, STRV) /* layers of images that are mounted, each image's topmost first */ \
    POD_KEY(70, LOG_FLAGS,   U64)  /* enum pod_log_flags (helper/logger_file.h); no log: POD_PLAN_NO_LOG */ \
    POD_KEY(71, LOG_SIZE,    U64)  /* --log-opt max-size in bytes, 0: no end; absent: POD_LOG_SIZE */ \
    POD_KEY(72, LOG_FILES,   U64)  /* --log-opt max-file; absent: POD_LOG_FILES */ \
    POD_KEY(73, LOG_BUFFER,  U64)  /* --log-opt max-buffer-size in bytes */ \
    POD_KEY(74, LOG_ATTRS,   STR)  /* member of every record: ,"attrs":{…} */ \
    POD_KEY(75, LOG_ADDRESS, STRV) /* not a file: "udp", "tcp", "unix", "unixgram" or "journald", address or path, port ("?": a socket of either kind) */ \
    POD_KEY(76, LOG_SYSLOG,  U64)  /* facility | enum pod_syslog_format << 8 */ \
    POD_KEY(77, LOG_TEXTS,   STRV) /* syslog: tag, host name; journald: KEY=value of every entry */ \
    POD_KEY(60, RESTART,     STR)  /* restart policy other than "no": "always", "on-failure:3" */ \
    POD_KEY(61, RESTART_PAUSE, U64) /* ms before the first start again << 32 | ms at most; absent: Docker's */ \
    POD_KEY(62, NET,         BLOB) /* items of REGISTER (net/wire.h) of the container and its interfaces; absent: no network of netd's */ \
    POD_KEY(63, NETD,        STRV) /* netd's folder in the run directory, path of its program */ \
    POD_KEY(64, NET_HOSTS,   STR)  /* /etc/hosts without the lines that netd knows */ \
    POD_KEY(65, GROUPS_IN,   STRV) /* folders of control groups that get one of the container's own (helper/groups.h) */ \
    POD_KEY(66, GROUP_FILES, STRV) /* of these: number, file, value, number, file … */ \
    POD_KEY(67, AFFINITY,    BLOB) /* processors that it may run on, as sched_setaffinity(2) takes them */ \
    POD_KEY(68, MEMORY,      U64)  /* bytes, where the supervisor watches (helper/watch.h) */ \
    POD_KEY(69, OOM_SCORE,   STR)  /* /proc/PID/oom_score_adj */ \
    POD_KEY(78, LIMITS,      STR)  /* for state.json: JSON of what enforces which limit */ \
    POD_KEY(115, NET_APART,  STRV) /* for events: id, name, driver of each network without an interface of netd's */ \
    POD_KEY(111, SHARE,      U64)  /* CLONE_NEW* of a running container that are joined (helper/share.h); then NAMESPACES has no NEWUSER */ \
    POD_KEY(112, SHARE_PID,  U64)  /* that container's first process */ \
    POD_KEY(113, SHARE_START,U64)  /* its start time, clock ticks after boot */ \
    POD_KEY(114, SHARE_SHM,  STR)  /* the folder whose mount is taken from there: /dev/shm */ \
    POD_KEY(120, TARGETS,    STRV) /* files/layer.c: where a start mounts something */ \
    POD_KEY(121, FLAT,       STR)  /* files/layer.c: of a plain tree the image's, and the file "owners" beside it */ \
    POD_KEY(122, LATEST,     U64)  /* files/layer.c: no entry's time is later than this second of 1970 and on, plus one; absent: as they are */ \
    /* Prepared starts only (helper/prepared.h); none of these reaches the client. */ \
    POD_KEY(40, P_PREFIX,    STRV) /* the interpreter, pod.pyz, "run", the flags, IMAGE */ \
    POD_KEY(41, P_FLAGS,     U64)  /* enum pod_prepared_flags */ \
    POD_KEY(42, P_INPUTS,    BLOB) /* struct pod_input[]: what the decisions rest on */ \
    POD_KEY(43, P_TEXT,      BLOB) /* NUL-terminated strings of P_INPUTS; ends with a NUL */ \
    POD_KEY(44, P_CONFIG,    BLOB) /* template of config.json */ \
    POD_KEY(45, P_HOSTNAME,  BLOB) /* templates of the files beside it */ \
    POD_KEY(46, P_HOSTS,     BLOB) \
    POD_KEY(47, P_RESOLV,    BLOB) \
    POD_KEY(48, P_NAMES,     STRV) /* names to take one of, all as long as that of the recorded start */ \
    POD_KEY(49, P_PLACES,    STRV) /* folder of the containers, of the names, the image's record, RUN_DIR/c, boot */ \
    POD_KEY(50, P_ENTRY,     STRV) /* what goes before the arguments after IMAGE */ \
    POD_KEY(51, P_PATCHES,   BLOB) /* struct pod_patch[]: where this file has the recorded id and name */
/* clang-format on */
