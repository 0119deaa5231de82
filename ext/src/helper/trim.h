/* Memory that a supervisor needs no more once its container runs. */
#ifndef POD_TRIM_H
#define POD_TRIM_H

#include <stdint.h>

/* Lets go of the pages of this program's code, which was needed to start and will hardly be again: what is used comes back page
 * by page from its memory file. Not at once: a container that ends soon would pay for it twice. */
struct pod_trim {
    int64_t at; /* ms of CLOCK_MONOTONIC; 0: nothing is due */
    int done;   /* once in this process */
};

/* A process was started. */
void pod_trim_later(struct pod_trim *trim);
/* How long a wait of WITHIN ms (-1: for ever) may be; does what is due. Never fails. */
int pod_trim_look(struct pod_trim *trim, int within);

#endif
