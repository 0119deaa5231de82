#include "hangup.h"

#include <errno.h>
#include <signal.h>

#include "clock.h"

/* Every process of exec leads a session, and with it a group that it cannot leave: what it started and did not put aside is
 * in there. The child is not reaped yet, so the number is its own. */
static void signal_group(const struct pod_relay *relay, int number)
{
    if (kill(-relay->child, number) && errno == ESRCH)
        kill(relay->child, number);
}

int pod_hangup_look(struct pod_relay *relay, int timeout)
{
    if (relay->ended)
        return timeout;
    if (relay->bound && relay->clients[0].fd < 0) {
        relay->bound = 0;
        relay->kill_at = pod_now_ms() + relay->grace;
        if (relay->grace) {
            signal_group(relay, SIGHUP);
            signal_group(relay, SIGCONT);
        }
    }
    if (!relay->kill_at)
        return timeout;
    int64_t left = relay->kill_at - pod_now_ms();
    if (left <= 0) {
        relay->kill_at = 0;
        signal_group(relay, SIGKILL);
        return timeout;
    }
    return timeout < 0 || left < timeout ? (int)left : timeout;
}
