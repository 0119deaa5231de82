/* Memory that a supervisor needs no more once its container runs. */
#ifndef POD_TRIM_H
#define POD_TRIM_H

/* Lets go of the pages of this program's code, which was needed to start and will hardly be again: what is used comes back page
 * by page from its memory file. FIRST: the first time in this process. Never fails. */
void pod_trim(int first);

#endif
