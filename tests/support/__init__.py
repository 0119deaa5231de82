"""What the tests stand on: real images, a real registry, the real command line, terminals, leak checks.

places    where the cache and the repository are
tools     Debian's programs and what this host offers: the named capabilities
fetch     the programs for someone who may not install packages
layers    layer archives made for tests (whiteouts, hard links, sparse files, xattrs)
images    recipes: which independent tool writes which image
registry  docker-registry as a child process on a free loopback port
prepare   ``python3 -m tests.support.prepare``: builds all images once into the cache
users     ``python3 -m tests.support.users``: the two unprivileged users (root only)
suite     ``python3 -m tests.support.suite [pytest arguments]``: prepares and runs pytest, as root once per user
turns     whose turn a test is that concerns users of both kinds
podcli    the command line under test, with a store of its own
terminal  a program on a pseudo terminal, with bounded waits
leaks     processes, mounts and records that a test left behind
"""
