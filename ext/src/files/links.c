#include "links.h"

#include <stdlib.h>
#include <string.h>

static uint32_t first_slot(const struct pod_links *links, uint64_t dev, uint64_t ino)
{
    uint64_t mixed = (ino ^ dev * 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull;
    return (uint32_t)(mixed >> 32) & (links->room - 1);
}

static struct pod_links_slot *slot_of(const struct pod_links *links, uint64_t dev, uint64_t ino)
{
    uint32_t at = first_slot(links, dev, ino);

    while (links->slots[at].path && (links->slots[at].dev != dev || links->slots[at].ino != ino))
        at = (at + 1) & (links->room - 1);
    return &links->slots[at];
}

static int make_room(struct pod_links *links)
{
    struct pod_links bigger = *links;

    if (links->room && links->count < links->room / 2)
        return 0;
    bigger.room = links->room ? links->room * 2 : 1024;
    if (bigger.room / 2 > POD_LINKS_MAX)
        return -1;
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return -1;
    for (uint32_t i = 0; i < links->room; i++)
        if (links->slots[i].path)
            *slot_of(&bigger, links->slots[i].dev, links->slots[i].ino) = links->slots[i];
    free(links->slots);
    *links = bigger;
    return 0;
}

static int keep_text(struct pod_links *links, const char *path, uint32_t *place)
{
    size_t length = strlen(path) + 1, wanted = links->used + length;

    if (wanted > POD_LINKS_TEXT_MAX)
        return -1;
    if (wanted > links->text_room) {
        size_t room = links->text_room ? links->text_room : 4096;
        char *moved;

        while (room < wanted)
            room *= 2;
        moved = realloc(links->text, room);
        if (!moved)
            return -1;
        links->text = moved;
        links->text_room = (uint32_t)room;
    }
    memcpy(links->text + links->used, path, length);
    *place = links->used + 1;
    links->used += (uint32_t)length;
    return 0;
}

const char *pod_links_find(struct pod_links *links, const struct stat *st, const char *path)
{
    struct pod_links_slot *slot;
    uint32_t place;

    if (make_room(links) < 0)
        return NULL;
    slot = slot_of(links, st->st_dev, st->st_ino);
    if (slot->path)
        return links->text + slot->path - 1;
    if (keep_text(links, path, &place) < 0)
        return NULL;
    *slot = (struct pod_links_slot){st->st_dev, st->st_ino, place};
    links->count++;
    return NULL;
}

void pod_links_free(struct pod_links *links)
{
    free(links->slots);
    free(links->text);
    memset(links, 0, sizeof *links);
}
