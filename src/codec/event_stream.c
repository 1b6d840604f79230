/* event_stream.c - server-sent events as they come, in pieces of any size (HTML Living
 * Standard 9.2.5 and 9.2.6). Pure: the state and the buffer are the caller's.
 */
#ifndef AD_CODEC_EVENT_STREAM_C
#define AD_CODEC_EVENT_STREAM_C

#include "../base/text.c"

#if AD_FLEET && AIDASH_METER

enum { AD_STREAM_ID_MAX = 63 }; /* bytes of an id that is kept; a longer one counts as
                                 * none */

/* What is known between two calls. Zeroed at first. */
struct ad_event_stream {
    uint32_t data; /* bytes of the event's data in the buffer, each line with a \n */
    uint32_t line; /* bytes of the current line behind them */
    bool begun;    /* the first line is over: no byte order mark comes any more */
    bool cr;       /* the last byte was CR: a LF belongs to it */
    bool long_line; /* the line was longer than the buffer: its rest is skipped */
    bool lost;      /* the event was longer than the buffer */
    bool has_id;    /* the event has an id */
    bool has_data;
    char id[AD_STREAM_ID_MAX + 1];
};

/* An event. */
struct ad_stream_event {
    bool whole;       /* there is one; else all bytes are used */
    bool lost;        /* it was longer than the buffer, and has no data */
    const char *id;   /* its own id; NULL: none */
    const char *data; /* in the buffer, valid until the next call */
    size_t len;
};

static bool ad_stream_field_is(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(line, name, len) == 0;
}

/* The event's id: "the empty string" is none, and one with a NUL is ignored. */
static void ad_stream_set_id(struct ad_event_stream *s, const char *value, size_t len)
{
    if (memchr(value, '\0', len) != NULL) {
        return;
    }
    s->has_id = len > 0 && len <= AD_STREAM_ID_MAX;
    if (s->has_id) {
        memcpy(s->id, value, len);
        s->id[len] = '\0';
    }
}

/* A line that is not empty. Of its fields only `data` and `id` matter here: the JSON
 * has the event's name, and when to come back is decided elsewhere. */
static void ad_stream_line(struct ad_event_stream *s, char *buf)
{
    char *line = buf + s->data;
    char *colon = memchr(line, ':', s->line);
    size_t name = colon != NULL ? (size_t)(colon - line) : s->line;
    char *value = line + (colon != NULL ? name + 1 : s->line);
    size_t len = (size_t)(line + s->line - value);

    if (len > 0 && value[0] == ' ') {
        value++;
        len--;
    }
    if (ad_stream_field_is(line, name, "id") && !s->long_line) {
        ad_stream_set_id(s, value, len);
    } else if (ad_stream_field_is(line, name, "data") && !s->lost) {
        s->has_data = true;
        memmove(line, value, len);
        line[len] = '\n'; /* the name has made room */
        s->data += (uint32_t)len + 1;
    }
}

/* An empty line: the event is over. */
static void ad_stream_dispatch(struct ad_event_stream *s, const char *buf,
                               struct ad_stream_event *event)
{
    event->whole = s->has_data || s->lost;
    event->lost = s->lost;
    event->id = s->has_id ? s->id : NULL;
    event->data = buf;
    event->len = s->has_data && !s->lost ? s->data - 1 : 0; /* without the last \n */
    s->data = 0;
    s->lost = s->has_data = s->has_id = false;
}

/* A line has ended. */
static void ad_stream_line_end(struct ad_event_stream *s, char *buf,
                               struct ad_stream_event *event)
{
    char *line = buf + s->data;

    if (!s->begun && s->line >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        s->line -= 3;
        memmove(line, line + 3, s->line);
    }
    s->begun = true;
    if (s->line > 0) {
        ad_stream_line(s, buf);
    } else if (!s->long_line) {
        ad_stream_dispatch(s, buf, event);
    }
    s->line = 0;
    s->long_line = false;
}

/* Take bytes up to the end of the next event, which *event describes. Returns how many
 * were used: all of them when there is none. `buf` has cap bytes, keeps them between
 * the calls, and bounds an event with its names. */
static size_t ad_event_stream_next(struct ad_event_stream *s, char *buf, size_t cap,
                                   const uint8_t *in, size_t len,
                                   struct ad_stream_event *event)
{
    size_t used = 0;

    memset(event, 0, sizeof(*event));
    while (used < len && !event->whole) {
        char c = (char)in[used++];
        bool behind_cr = s->cr;

        s->cr = c == '\r';
        if (c == '\r' || (c == '\n' && !behind_cr)) {
            ad_stream_line_end(s, buf, event);
        } else if (c == '\n') {
            continue;
        } else if (s->data + s->line < cap) {
            buf[s->data + s->line++] = c;
        } else {
            s->long_line = s->lost = true;
        }
    }
    return used;
}

#endif /* AD_FLEET && AIDASH_METER */

#endif
