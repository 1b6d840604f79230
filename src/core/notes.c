/* notes.c - sentences on the time axis, from the program that embeds aidash: the
 * event, and the latest of them.
 * Owns ad_notes. Hub thread only.
 */
#ifndef AD_CORE_NOTES_C
#define AD_CORE_NOTES_C

#include "events.c"

enum { AD_NOTE_JSON_MAX = 160 + 2 * AIDASH_TEXT_MAX };

struct ad_note {
    uint64_t seq;     /* of its event */
    uint64_t time_us; /* Unix time */
    uint8_t level;    /* enum aidash_log_level: error, warn or info */
    char text[AIDASH_TEXT_MAX + 1];
};

static struct {
    uint64_t count; /* so far; number n is at n % AIDASH_NOTES */
    struct ad_note ring[AIDASH_NOTES];
} ad_notes;

/* Before each run. */
static void ad_notes_init(void)
{
    ad_notes.count = 0;
}

static void ad_put_note(struct ad_text *t, const struct ad_note *note)
{
    static const char *const names[] = {"", "error", "warn", "info"};

    ad_puts(t, "{\"event\":\"note\",\"seq\":");
    ad_put_u64(t, note->seq);
    ad_puts(t, ",\"level\":");
    ad_put_string(t, names[note->level]);
    ad_puts(t, ",\"text\":");
    ad_put_string(t, note->text);
    ad_puts(t, ",\"timestamp\":");
    ad_put_decimal(t, note->time_us, 6);
    ad_puts(t, "}");
}

/* Tell all viewers, and keep it. */
static void ad_note_add(uint8_t level, const char *text)
{
    struct ad_note *note = &ad_notes.ring[ad_notes.count++ % AIDASH_NOTES];
    char json[AD_NOTE_JSON_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    note->seq = ad_feed.next;
    note->time_us = ad_hub.now_us;
    note->level = level;
    (void)snprintf(note->text, sizeof(note->text), "%s", text);
    ad_put_note(&t, note);
    ad_event_append(AD_EV_NOTE, &t);
}

AD_MEMORY(notes, AIDASH_NOTES, sizeof(ad_notes));

#endif
