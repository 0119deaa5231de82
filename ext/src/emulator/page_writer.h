/* The emulator's side of the page that programs see (page.h). A write that fails takes the page back, so that everybody asks
 * again. Functions that return something: 0, or -EIO where programs may go on to be told what is not so. */
#ifndef POD_PAGE_WRITER_H
#define POD_PAGE_WRITER_H

#include <stdint.h>

#include "page.h"

struct pod_creds;

struct pod_page_file {
    int fd; /* -1: there is none */
    uint8_t *gathered; /* its SHOWN, while the records are read; then NULL */
};

/* The supervisor's: a new file "shown" in DIR, whose head may be looked at; -1 where that cannot be. */
int pod_page_create(int dir);

/* Between these the records are read. The first allocates all of it. */
void pod_page_begin(struct pod_page_file *page, int fd);
/* The page counts from now on. ROOT_DEV and COMPLETE as there; ELSEWHERE: something of the host is mounted. */
void pod_page_ready(struct pod_page_file *page, uint64_t root_dev, int complete, int elsewhere);

/* There is a record of INO, or will be. PAGE may be NULL. */
int pod_page_mark(struct pod_page_file *page, uint64_t ino);
/* The ids that TOKEN stands for. */
int pod_page_ids(struct pod_page_file *page, uint32_t token, const struct pod_creds *creds);
/* A process has been seen in a user namespace of its own, or may go there. */
void pod_page_nested(struct pod_page_file *page);
/* A process that had FILTERS adds one of its own. */
void pod_page_confined(struct pod_page_file *page, uint32_t filters);

#endif
