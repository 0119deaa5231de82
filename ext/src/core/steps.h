/* Every step that can fail, as one table: POD_STEP(enum suffix, words for people).
 *
 * The number of a step crosses processes and builds only together with the build id (plan header, helper and extension
 * are one build), so rows may be added anywhere. The name (not the number) is what state.json and Python see. */
/* clang-format off */
#define POD_STEPS(POD_STEP) \
    POD_STEP(NONE,          "nothing") \
    POD_STEP(PLAN,          "read the plan") \
    POD_STEP(MEMORY,        "allocate memory") \
    POD_STEP(OPEN,          "open") \
    POD_STEP(READ,          "read") \
    POD_STEP(WRITE,         "write") \
    POD_STEP(SOCKET,        "use the control socket") \
    POD_STEP(PTY,           "make a terminal") \
    POD_STEP(FORK,          "fork") \
    POD_STEP(CLONE,         "make namespaces") \
    POD_STEP(NEWUIDMAP,     "run newuidmap") \
    POD_STEP(NEWGIDMAP,     "run newgidmap") \
    POD_STEP(USERNS,        "make a user namespace") \
    POD_STEP(SETNS,         "join a namespace") \
    POD_STEP(IDMAP,         "write an id map") \
    POD_STEP(CGROUP,        "join a cgroup") \
    POD_STEP(NETNS,         "set up the network namespace") \
    POD_STEP(NETD,          "start the network process") \
    POD_STEP(NETWORK,       "use the network process") \
    POD_STEP(NETLINK,       "set up a network") \
    POD_STEP(NFT,           "set packet rules") \
    POD_STEP(PUBLISH,       "publish a port") \
    POD_STEP(ADDRESS,       "give out an address") \
    POD_STEP(PROPAGATION,   "make mounts private") \
    POD_STEP(OVERLAY,       "mount the overlay root") \
    POD_STEP(BIND,          "bind mount") \
    POD_STEP(MOUNT,         "mount") \
    POD_STEP(REMOUNT,       "remount") \
    POD_STEP(MKDIR,         "make a directory") \
    POD_STEP(MKNOD,         "make a node") \
    POD_STEP(SYMLINK,       "make a symbolic link") \
    POD_STEP(RESOLVE,       "resolve a path in the root file system") \
    POD_STEP(SUBPATH,       "open a subpath of a volume") \
    POD_STEP(COPY,          "copy") \
    POD_STEP(MASK,          "mask a path") \
    POD_STEP(PIVOT,         "change the root") \
    POD_STEP(HOSTNAME,      "set the host name") \
    POD_STEP(SYSCTL,        "set a sysctl") \
    POD_STEP(RLIMIT,        "set a resource limit") \
    POD_STEP(KEYRING,       "make a session keyring") \
    POD_STEP(CAPS,          "set capabilities") \
    POD_STEP(GROUPS,        "set groups") \
    POD_STEP(SETGID,        "set the group id") \
    POD_STEP(SETUID,        "set the user id") \
    POD_STEP(SECCOMP,       "load the seccomp filter") \
    POD_STEP(EMULATOR,      "start root emulation") \
    POD_STEP(NO_NEW_PRIVS,  "set no_new_privs") \
    POD_STEP(CHDIR,         "change to the working directory") \
    POD_STEP(EXEC,          "exec") \
    POD_STEP(WAIT,          "wait for a process") \
    POD_STEP(PAUSE,         "pause the container") \
    POD_STEP(LOG,           "write the log") \
    POD_STEP(STATE,         "write the state record") \
    POD_STEP(TAR_HEADER,    "read a tar header") \
    POD_STEP(TAR_PATH,      "accept an entry's path") \
    POD_STEP(TAR_DATA,      "read an entry's data") \
    POD_STEP(DECOMPRESS,    "decompress") \
    POD_STEP(COMPRESS,      "compress") \
    POD_STEP(LIMIT,         "stay within a limit") \
    POD_STEP(UNLINK,        "remove") \
    POD_STEP(RENAME,        "rename") \
    POD_STEP(LINK,          "make a hard link") \
    POD_STEP(CHMOD,         "set a mode") \
    POD_STEP(CHOWN,         "set an owner") \
    POD_STEP(XATTR,         "set an extended attribute") \
    POD_STEP(UTIMES,        "set times") \
    POD_STEP(OWNERS,        "write the owners record") \
    POD_STEP(STAT,          "look at") \
    POD_STEP(SYNC,          "sync") \
    POD_STEP(PROBE,         "try") \
    POD_STEP(INTERNAL,      "keep a promise of this program (a bug)")
/* clang-format on */
