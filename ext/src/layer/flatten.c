#include "flatten.h"

#include "../core/copytree.h"

int pod_flatten(const int *layer_fds, int count, int targetfd, struct pod_err *err)
{
    for (int i = 0; i < count; i++)
        if (pod_copytree(layer_fds[i], targetfd, POD_COPY_WHITEOUTS | POD_COPY_OWNERS, err) < 0)
            return -1;
    return 0;
}
