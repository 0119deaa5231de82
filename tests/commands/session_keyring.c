/* Prints what kind of session keyring this process has: "keyring;UID;GID;PERMISSIONS;NAME" of keyctl(2). */
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    char text[200] = "";

    if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text, 0) < 0)
        perror("describe");
    return puts(text) < 0;
}
