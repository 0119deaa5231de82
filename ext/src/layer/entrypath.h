/* Names of entries, as archives have them, to paths inside the root. */
#ifndef POD_ENTRYPATH_H
#define POD_ENTRYPATH_H

/* PATH without leading "/", ".", doubled slashes; ".." takes a name back, as Docker's
 * filepath.Clean does. Out of the root is EXDEV. TARGET has PATH_MAX bytes. Returns 0 or errno. */
int pod_clean_path(const char *path, char *target);
/* Cuts the last name off PATH (which is not empty) into NAME. */
void pod_split_path(char *path, char *name);

#endif
