/* feed_events.h - events for the feed whose number their text shows. */
#ifndef AD_TESTS_FEED_EVENTS_H
#define AD_TESTS_FEED_EVENTS_H

#include "../src/core/feed.c"

/* The JSON of test event seq: of a length that differs, with its number in it. */
static size_t event_json(uint64_t seq, char out[AD_EVENT_MAX])
{
    size_t n = (size_t)snprintf(out, AD_EVENT_MAX, "{\"seq\":%llu,\"pad\":\"",
                                (unsigned long long)seq);
    size_t pad = (size_t)(seq * 7919 % 300);

    memset(out + n, 'a' + (int)(seq % 26), pad);
    n += pad;
    memcpy(out + n, "\"}", 2);
    return n + 2;
}

static void append(enum ad_event kind)
{
    char json[AD_EVENT_MAX];

    ad_feed_append(kind, json, event_json(ad_feed.next, json));
}

#endif
