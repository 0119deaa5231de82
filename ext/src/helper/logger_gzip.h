/* gzip (RFC 1951, 1952) for full log files: matches within 32 KiB, found by one hash of four bytes, fixed Huffman codes.
 *
 * Log lines are much alike, so that this comes near enough to what zlib makes of them: the helper has no library
 * (ARCHITECTURE.md, 15; docs/logs.md). */
#ifndef POD_LOGGER_GZIP_H
#define POD_LOGGER_GZIP_H

/* NAME of the folder becomes FINAL by way of TEMPORARY. Left as it is where that fails, where it is not there, and where
 * somebody holds a lock on it. Returns whether it was done. */
int pod_log_gzip(int dirfd, const char *name, const char *temporary, const char *final);

#endif
