/* "mount" and "unmount" of the volumes that a container has (VOLUMES of the plan), as Docker tells them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"
#include "text.h"

/* Names of volumes, ids and "true" need no escapes; a destination does. */
static void compose(struct pod_text *text, const struct pod_plan *plan, const char *action,
                    const char *name, const char *destination, const char *writable)
{
    struct timespec now;
    char end[96];

    pod_text_add_words(text, "\n{\"Type\":\"volume\",\"Action\":\"");
    pod_text_add_words(text, action);
    pod_text_add_words(text, "\",\"Actor\":{\"ID\":\"");
    pod_text_add_words(text, name);
    pod_text_add_words(text, "\",\"Attributes\":{\"container\":\"");
    pod_text_add_words(text, pod_plan_str(plan, POD_KEY_ID));
    if (!strcmp(action, "mount")) {
        pod_text_add_words(text, "\",\"destination\":");
        pod_text_add_string(text, destination, strlen(destination));
        pod_text_add_words(text, ",\"driver\":\"local\",\"propagation\":\"\",\"read/write\":\"");
        pod_text_add_words(text, writable);
    } else {
        pod_text_add_words(text, "\",\"driver\":\"local");
    }
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(end, sizeof end, "\"}},\"scope\":\"local\",\"time\":%lld,\"timeNano\":%lld%09ld}\n",
             (long long)now.tv_sec, (long long)now.tv_sec, now.tv_nsec);
    pod_text_add_words(text, end);
}

void pod_event_volumes(const struct pod_events *events, const struct pod_plan *plan,
                       const char *action)
{
    const char *name = pod_plan_str(plan, POD_KEY_VOLUMES);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_VOLUMES);

    if (events->folder < 0)
        return;
    for (uint32_t i = 0; i + 2 < count; i += 3) {
        const char *destination = name + strlen(name) + 1,
                   *writable = destination + strlen(destination) + 1;
        struct pod_text text = {0};
        compose(&text, plan, action, name, destination, writable);
        if (!text.failed)
            pod_event_line(events, text.bytes + 1, text.used - 1);
        free(text.bytes);
        name = writable + strlen(writable) + 1;
    }
}
