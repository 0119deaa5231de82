/* A 32-bit program without a library: ids, owners and what must be refused, by int 0x80; prints one line of results. */
struct kernel_statx {
    unsigned mask, block_size, attributes[2], links, uid, gid;
    unsigned rest[57];
};

static long call(long number, long a, long b, long c, long d, long e)
{
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
    return result;
}

static void say(long value)
{
    char text[16], *at = text + 15;
    int negative = value < 0;

    *at = ' ';
    for (unsigned long left = negative ? -value : value; left || at == text + 15; left /= 10)
        *--at = (char)('0' + left % 10);
    if (negative)
        *--at = '-';
    call(4, 1, (long)at, text + 16 - at, 0, 0);
}

void _start(void)
{
    static struct kernel_statx st;
    static unsigned ids[3], groups[4] = {9, 8};

    call(6, call(5, (long)"/narrow", 0101, 0644, 0, 0), 0, 0, 0, 0); /* open, close */
    say(call(212, (long)"/narrow", 70000, 70001, 0, 0)); /* chown32 */
    say(call(383, -100, (long)"/narrow", 0, 0x7ff, (long)&st)); /* statx */
    say(st.uid);
    say(st.gid);
    say(call(206, 2, (long)groups, 0, 0, 0)); /* setgroups32 */
    say(call(210, 33, 34, 35, 0, 0)); /* setresgid32 */
    say(call(208, 1000, 1001, 1002, 0, 0)); /* setresuid32 */
    say(call(209, (long)&ids[0], (long)&ids[1], (long)&ids[2], 0, 0)); /* getresuid32 */
    say(ids[0]);
    say(ids[1]);
    say(ids[2]);
    say(call(202, 0, 0, 0, 0, 0)); /* getegid32 */
    say(call(205, 4, (long)groups, 0, 0, 0)); /* getgroups32 */
    say(groups[0]);
    say(call(213, 0, 0, 0, 0, 0)); /* setuid32: refused */
    say(call(39, (long)"/tmp/narrow", 0755, 0, 0, 0)); /* mkdir */
    call(383, -100, (long)"/tmp/narrow", 0, 0x7ff, (long)&st);
    say(st.uid);
    say(call(425, 8, (long)ids, 0, 0, 0) < 0); /* io_uring_setup */
    say(call(209, 4, 4, 4, 0, 0)); /* getresuid32 to nowhere */
    call(4, 1, (long)"\n", 1, 0, 0);
    call(1, 0, 0, 0, 0, 0);
}
