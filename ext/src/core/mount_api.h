/* Of the newer calls for mounts (5.2, mount_setattr 5.12) what C libraries lack: musl's and older ones' sys/syscall.h, and
 * linux/mount.h, which some C libraries' sys/mount.h cannot stand beside. */
#ifndef POD_MOUNT_API_H
#define POD_MOUNT_API_H

#include <sys/syscall.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#define POD_OPEN_TREE_CLONE 1u
#define POD_AT_RECURSIVE 0x8000u
#define POD_MOVE_EMPTY_PATHS 0x44u /* MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH */

#endif
