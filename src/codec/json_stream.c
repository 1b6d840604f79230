/* json_stream.c - a JSON text in pieces: what stands at the few paths that we
 * know. Pure.
 */
#ifndef AD_CODEC_JSON_STREAM_C
#define AD_CODEC_JSON_STREAM_C

#include "json.c"

#if AIDASH_METER

enum {
    AD_SCAN_DEPTH_MAX = 64,             /* nesting of JSON */
    AD_SCAN_TEXT_MAX = AIDASH_MODEL_MAX /* bytes kept of a key or a string */
};

/* The places in a JSON text that matter to us. */
enum ad_path {
    AD_PATH_NONE,
    AD_PATH_TOP,     /* an event or a whole answer */
    AD_PATH_REQUEST, /* a request's body */
    AD_PATH_LIST,    /* several whole answers in an array */
    AD_PATH_CHOICES,
    AD_PATH_CHOICE,
    AD_PATH_DELTA,
    AD_PATH_CALLS,
    AD_PATH_CALL,
    AD_PATH_MESSAGE,
    AD_PATH_MESSAGE_USAGE,
    AD_PATH_RESPONSE,
    AD_PATH_INCOMPLETE,
    AD_PATH_USAGE,
    AD_PATH_DETAILS,
    AD_PATH_TIMINGS,
    AD_PATH_PROGRESS,
    AD_PATH_TGI_TOKEN,
    AD_PATH_TGI_DETAILS,
    AD_PATH_OPENAI_LIST, /* GET /v1/models */
    AD_PATH_OLLAMA_LIST, /* GET /api/tags, /api/ps */
    AD_PATH_LIST_ITEMS,
    AD_PATH_LIST_ITEM,
    AD_PATH_LIST_STATE,
    AD_PATH_ERROR,
    AD_PATH_TEXT,     /* of the answer: all that counts is whether it is empty */
    AD_PATH_TGI_TEXT, /* a string here ends the stream */
    AD_PATH_OVER,     /* true ends the stream */
    AD_PATH_STREAM,
    AD_PATH_MODEL, /* from here: short strings that are kept */
    AD_PATH_TYPE,
    AD_PATH_OBJECT,
    AD_PATH_FINISH,
    AD_PATH_LIST_NAME,
    AD_PATH_LIST_OWNER,
    AD_PATH_LIST_STATUS,
    AD_PATH_COMPLETION, /* from here: numbers, see ad_scan_event */
    AD_PATH_PROMPT,     /* all of it, but for the next two */
    AD_PATH_CACHE_READ,
    AD_PATH_CACHE_WRITE,
    AD_PATH_CACHED,
    AD_PATH_PREDICTED, /* of one choice: llama-server's timings */
    AD_PATH_CACHE_N,
    AD_PATH_PROMPT_N,
    AD_PATH_PROMPT_MS,
    AD_PATH_PROMPT_RATE,
    AD_PATH_PREDICTED_MS,
    AD_PATH_PREDICTED_RATE,
    AD_PATH_DRAFT_N,
    AD_PATH_DRAFT_ACCEPTED,
    AD_PATH_PROGRESS_TOTAL,
    AD_PATH_PROGRESS_CACHED,
    AD_PATH_PROGRESS_DONE,
    AD_PATH_PROGRESS_MS,
    AD_PATH_LOAD_NS,
    AD_PATH_PROMPT_NS,
    AD_PATH_EVAL_NS,
    AD_PATH_TOTAL_NS,
    AD_PATH_END
};

/* The ways from place to place. A key that is not here leads to AD_PATH_NONE, and
 * so does all below it. */
static const struct {
    uint8_t from, to;
    const char *key;
} ad_paths[] = {
    {AD_PATH_REQUEST, AD_PATH_MODEL, "model"},
    {AD_PATH_REQUEST, AD_PATH_STREAM, "stream"},

    /* OpenAI: chat completions, completions, embeddings; whole responses */
    {AD_PATH_TOP, AD_PATH_CHOICES, "choices"},
    {AD_PATH_TOP, AD_PATH_MODEL, "model"},
    {AD_PATH_TOP, AD_PATH_USAGE, "usage"},
    {AD_PATH_TOP, AD_PATH_ERROR, "error"},
    {AD_PATH_TOP, AD_PATH_OBJECT, "object"},
    {AD_PATH_TOP, AD_PATH_INCOMPLETE, "incomplete_details"},
    {AD_PATH_CHOICE, AD_PATH_DELTA, "delta"},
    {AD_PATH_CHOICE, AD_PATH_TEXT, "text"},
    {AD_PATH_CHOICE, AD_PATH_FINISH, "finish_reason"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "content"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "reasoning_content"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "reasoning"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "refusal"},
    {AD_PATH_DELTA, AD_PATH_CALLS, "tool_calls"},
    {AD_PATH_DELTA, AD_PATH_CALL, "function_call"},
    {AD_PATH_USAGE, AD_PATH_COMPLETION, "completion_tokens"},
    {AD_PATH_USAGE, AD_PATH_COMPLETION, "output_tokens"},
    {AD_PATH_USAGE, AD_PATH_PROMPT, "prompt_tokens"},
    {AD_PATH_USAGE, AD_PATH_PROMPT, "input_tokens"},
    {AD_PATH_USAGE, AD_PATH_CACHE_READ, "cache_read_input_tokens"},
    {AD_PATH_USAGE, AD_PATH_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_PATH_USAGE, AD_PATH_DETAILS, "prompt_tokens_details"},
    {AD_PATH_USAGE, AD_PATH_DETAILS, "input_tokens_details"},
    {AD_PATH_DETAILS, AD_PATH_CACHED, "cached_tokens"},

    /* OpenAI: events of /v1/responses; Ollama's "response" is a string */
    {AD_PATH_TOP, AD_PATH_TYPE, "type"},
    {AD_PATH_TOP, AD_PATH_DELTA, "delta"},
    {AD_PATH_TOP, AD_PATH_RESPONSE, "response"},
    {AD_PATH_RESPONSE, AD_PATH_MODEL, "model"},
    {AD_PATH_RESPONSE, AD_PATH_USAGE, "usage"},
    {AD_PATH_RESPONSE, AD_PATH_INCOMPLETE, "incomplete_details"},
    {AD_PATH_INCOMPLETE, AD_PATH_FINISH, "reason"},

    /* Anthropic: /v1/messages. The usage in "message" knows the prompt, but
     * not yet the answer. */
    {AD_PATH_TOP, AD_PATH_FINISH, "stop_reason"},
    {AD_PATH_TOP, AD_PATH_MESSAGE, "message"},
    {AD_PATH_MESSAGE, AD_PATH_MODEL, "model"},
    {AD_PATH_MESSAGE, AD_PATH_MESSAGE_USAGE, "usage"},
    {AD_PATH_MESSAGE_USAGE, AD_PATH_PROMPT, "input_tokens"},
    {AD_PATH_MESSAGE_USAGE, AD_PATH_CACHE_READ, "cache_read_input_tokens"},
    {AD_PATH_MESSAGE_USAGE, AD_PATH_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "text"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "thinking"},
    {AD_PATH_DELTA, AD_PATH_TEXT, "partial_json"},
    {AD_PATH_DELTA, AD_PATH_FINISH, "stop_reason"},

    /* llama-server: timings with every API, and /completion */
    {AD_PATH_TOP, AD_PATH_TIMINGS, "timings"},
    {AD_PATH_TOP, AD_PATH_PROGRESS, "prompt_progress"},
    {AD_PATH_TOP, AD_PATH_TEXT, "content"},
    {AD_PATH_TOP, AD_PATH_OVER, "stop"},
    {AD_PATH_TOP, AD_PATH_FINISH, "stop_type"},
    {AD_PATH_TOP, AD_PATH_PREDICTED, "tokens_predicted"},
    {AD_PATH_TOP, AD_PATH_PROMPT, "tokens_evaluated"},
    {AD_PATH_TIMINGS, AD_PATH_CACHE_N, "cache_n"},
    {AD_PATH_TIMINGS, AD_PATH_PROMPT_N, "prompt_n"},
    {AD_PATH_TIMINGS, AD_PATH_PROMPT_MS, "prompt_ms"},
    {AD_PATH_TIMINGS, AD_PATH_PROMPT_RATE, "prompt_per_second"},
    {AD_PATH_TIMINGS, AD_PATH_PREDICTED, "predicted_n"},
    {AD_PATH_TIMINGS, AD_PATH_PREDICTED_MS, "predicted_ms"},
    {AD_PATH_TIMINGS, AD_PATH_PREDICTED_RATE, "predicted_per_second"},
    {AD_PATH_TIMINGS, AD_PATH_DRAFT_N, "draft_n"},
    {AD_PATH_TIMINGS, AD_PATH_DRAFT_ACCEPTED, "draft_n_accepted"},
    {AD_PATH_PROGRESS, AD_PATH_PROGRESS_TOTAL, "total"},
    {AD_PATH_PROGRESS, AD_PATH_PROGRESS_CACHED, "cache"},
    {AD_PATH_PROGRESS, AD_PATH_PROGRESS_DONE, "processed"},
    {AD_PATH_PROGRESS, AD_PATH_PROGRESS_MS, "time_ms"},

    /* Ollama: /api/chat, /api/generate, /api/embed */
    {AD_PATH_TOP, AD_PATH_TEXT, "thinking"},
    {AD_PATH_TOP, AD_PATH_OVER, "done"},
    {AD_PATH_TOP, AD_PATH_FINISH, "done_reason"},
    {AD_PATH_TOP, AD_PATH_COMPLETION, "eval_count"},
    {AD_PATH_TOP, AD_PATH_PROMPT, "prompt_eval_count"},
    {AD_PATH_TOP, AD_PATH_CACHED, "prompt_eval_cached_count"},
    {AD_PATH_TOP, AD_PATH_LOAD_NS, "load_duration"},
    {AD_PATH_TOP, AD_PATH_PROMPT_NS, "prompt_eval_duration"},
    {AD_PATH_TOP, AD_PATH_EVAL_NS, "eval_duration"},
    {AD_PATH_TOP, AD_PATH_TOTAL_NS, "total_duration"},
    {AD_PATH_MESSAGE, AD_PATH_TEXT, "content"},
    {AD_PATH_MESSAGE, AD_PATH_TEXT, "thinking"},
    {AD_PATH_MESSAGE, AD_PATH_CALLS, "tool_calls"},

    /* TGI: /generate_stream */
    {AD_PATH_TOP, AD_PATH_TGI_TOKEN, "token"},
    {AD_PATH_TOP, AD_PATH_TGI_DETAILS, "details"},
    {AD_PATH_TOP, AD_PATH_TGI_TEXT, "generated_text"},
    {AD_PATH_TGI_TOKEN, AD_PATH_TEXT, "text"},
    {AD_PATH_TGI_DETAILS, AD_PATH_FINISH, "finish_reason"},
    {AD_PATH_TGI_DETAILS, AD_PATH_COMPLETION, "generated_tokens"},
    {AD_PATH_TGI_DETAILS, AD_PATH_PROMPT, "input_length"},

    /* Lists of models: OpenAI's, with llama-server's state of each in its
     * router mode; Ollama's */
    {AD_PATH_OPENAI_LIST, AD_PATH_LIST_ITEMS, "data"},
    {AD_PATH_OLLAMA_LIST, AD_PATH_LIST_ITEMS, "models"},
    {AD_PATH_LIST_ITEM, AD_PATH_LIST_NAME, "id"},
    {AD_PATH_LIST_ITEM, AD_PATH_LIST_NAME, "name"},
    {AD_PATH_LIST_ITEM, AD_PATH_LIST_OWNER, "owned_by"},
    {AD_PATH_LIST_ITEM, AD_PATH_LIST_STATE, "status"},
    {AD_PATH_LIST_STATE, AD_PATH_LIST_STATUS, "value"},
};

static uint8_t ad_path_next(uint8_t from, const char *key, size_t len)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_paths) && from != AD_PATH_NONE; i++) {
        if (ad_paths[i].from == from && strlen(ad_paths[i].key) == len &&
            memcmp(ad_paths[i].key, key, len) == 0) {
            return ad_paths[i].to;
        }
    }
    return AD_PATH_NONE;
}

enum ad_json_stream_state {
    AD_JSON_VALUE,        /* a value comes */
    AD_JSON_VALUE_OR_END, /* behind [ */
    AD_JSON_KEY,          /* behind a comma in an object */
    AD_JSON_KEY_OR_END,   /* behind { */
    AD_JSON_COLON,
    AD_JSON_STRING,
    AD_JSON_ESCAPE,
    AD_JSON_HEX,
    AD_JSON_WORD,         /* a number or a literal */
    AD_JSON_AFTER,        /* a comma or a closing bracket comes */
    AD_JSON_DONE,
    AD_JSON_BAD
};

/* What ad_json_stream_next() stopped at; only what has a place is told. */
enum ad_json_stream_what {
    AD_JSON_NOTHING,
    AD_JSON_OPEN,    /* an object or array begins */
    AD_JSON_CLOSE,
    AD_JSON_TEXT,    /* a string has ended */
    AD_JSON_SCALAR   /* a number or literal has ended, and is in `text` */
};

struct ad_json_stream {
    uint8_t state; /* enum ad_json_stream_state */
    uint8_t what;  /* enum ad_json_stream_what */
    uint8_t path;  /* enum ad_path of the value at hand */
    uint8_t depth; /* of objects and arrays */
    uint8_t len;   /* bytes in `text` */
    uint8_t digits; /* of a \u escape still to come */
    bool key;      /* the string at hand is a key */
    bool keep;     /* and goes to `text` */
    bool cut;      /* `text` holds the beginning only */
    bool any;      /* the string is not empty */
    bool deep;     /* bad because too deep */
    uint16_t code; /* of a \u escape */
    uint16_t high; /* first half of a surrogate pair */
    uint64_t objects; /* a bit for each depth: an object, not an array */
    uint64_t at;      /* bytes used */
    uint64_t from;    /* where the string at hand began, at its quote */
    uint8_t paths[AD_SCAN_DEPTH_MAX]; /* of the objects and arrays around */
    char text[AD_SCAN_TEXT_MAX + 1];
};
_Static_assert(AD_SCAN_DEPTH_MAX <= 64, "ad_json_stream.objects has 64 bits");
_Static_assert(AD_SCAN_TEXT_MAX <= 255, "ad_json_stream.len has 8 bits");
_Static_assert(AD_SCAN_TEXT_MAX >= 48, "keys and numbers fit ad_json_stream.text");

static void ad_json_stream_begin(struct ad_json_stream *j, uint8_t path)
{
    memset(j, 0, sizeof(*j));
    j->path = path;
}

static void ad_json_stream_keep(struct ad_json_stream *j, const void *s, size_t len)
{
    size_t room = AD_SCAN_TEXT_MAX - (size_t)j->len;

    j->any = true;
    if (!j->keep) {
        return;
    }
    if (len > room) {
        j->cut = true;
        len = room;
    }
    memcpy(j->text + j->len, s, len);
    j->len = (uint8_t)(j->len + len);
}

static void ad_json_stream_keep_code(struct ad_json_stream *j, unsigned long code)
{
    char bytes[4];

    ad_json_stream_keep(j, bytes, ad_utf8_put(bytes, code));
}

/* Half a surrogate pair that stayed alone. */
static void ad_json_stream_lone(struct ad_json_stream *j)
{
    if (j->high != 0) {
        j->high = 0;
        ad_json_stream_keep_code(j, 0xFFFD);
    }
}

/* Four digits of a \u escape are there: UTF-16, RFC 8259 7. */
static void ad_json_stream_unit(struct ad_json_stream *j)
{
    unsigned long code = j->code;

    if (code >= 0xDC00 && code <= 0xDFFF && j->high != 0) {
        code += 0x10000 - 0xDC00 + ((j->high - 0xD800ul) << 10);
        j->high = 0;
        ad_json_stream_keep_code(j, code);
        return;
    }
    ad_json_stream_lone(j);
    if (code >= 0xD800 && code <= 0xDBFF) {
        j->high = j->code;
    } else {
        ad_json_stream_keep_code(j, code >= 0xDC00 && code <= 0xDFFF ? 0xFFFD : code);
    }
}

static void ad_json_stream_bad(struct ad_json_stream *j)
{
    j->state = AD_JSON_BAD;
}

static void ad_json_stream_tell(struct ad_json_stream *j, enum ad_json_stream_what what)
{
    j->what = j->path != AD_PATH_NONE ? (uint8_t)what : AD_JSON_NOTHING;
}

static void ad_json_stream_value_end(struct ad_json_stream *j)
{
    j->state = j->depth == 0 ? AD_JSON_DONE : AD_JSON_AFTER;
}

static bool ad_json_stream_in_object(const struct ad_json_stream *j)
{
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

/* The place of an array's elements. */
static uint8_t ad_json_stream_element(uint8_t array)
{
    switch (array) {
    case AD_PATH_CHOICES:
        return AD_PATH_CHOICE;
    case AD_PATH_CALLS:
        return AD_PATH_CALL;
    case AD_PATH_LIST:
        return AD_PATH_TOP;
    case AD_PATH_LIST_ITEMS:
        return AD_PATH_LIST_ITEM;
    default:
        return AD_PATH_NONE;
    }
}

static void ad_json_stream_open(struct ad_json_stream *j, bool object)
{
    if (j->depth == AD_SCAN_DEPTH_MAX) {
        j->deep = true;
        ad_json_stream_bad(j);
        return;
    }
    if (!object && (j->path == AD_PATH_TOP || j->path == AD_PATH_REQUEST)) {
        j->path = j->path == AD_PATH_TOP && j->depth == 0 ? AD_PATH_LIST : AD_PATH_NONE;
    }
    ad_json_stream_tell(j, AD_JSON_OPEN);
    j->paths[j->depth] = j->path;
    j->objects &= ~(1ull << j->depth);
    j->objects |= (uint64_t)object << j->depth;
    j->depth++;
    j->state = object ? AD_JSON_KEY_OR_END : AD_JSON_VALUE_OR_END;
}

static void ad_json_stream_close(struct ad_json_stream *j, bool object)
{
    if (j->depth == 0 || ad_json_stream_in_object(j) != object) {
        ad_json_stream_bad(j);
        return;
    }
    j->depth--;
    j->path = j->paths[j->depth];
    ad_json_stream_tell(j, AD_JSON_CLOSE);
    ad_json_stream_value_end(j);
}

static void ad_json_stream_string_begin(struct ad_json_stream *j, bool key, size_t i)
{
    j->state = AD_JSON_STRING;
    j->key = key;
    /* Nothing of an answer's text is ever kept. */
    j->keep = key || (j->path >= AD_PATH_MODEL && j->path <= AD_PATH_LIST_STATUS);
    j->any = j->cut = false;
    j->len = 0;
    j->from = j->at + i;
}

static void ad_json_stream_string_end(struct ad_json_stream *j)
{
    ad_json_stream_lone(j);
    j->text[j->len] = '\0';
    if (j->key) {
        j->path = j->cut ? AD_PATH_NONE
                         : ad_path_next(j->paths[j->depth - 1], j->text, j->len);
        j->state = AD_JSON_COLON;
        return;
    }
    ad_json_stream_tell(j, AD_JSON_TEXT);
    ad_json_stream_value_end(j);
}

/* A number too long to be kept loses digits that follow others: it stays a
 * number, or stays none, and 8 bytes are left for what may still come, as in
 * .1e-1. */
static void ad_json_stream_word(struct ad_json_stream *j, uint8_t c)
{
    if (j->len >= AD_SCAN_TEXT_MAX - 8 && ad_is_digit(c) &&
        ad_is_digit(j->text[j->len - 1])) {
        j->cut = true;
    } else {
        ad_json_stream_keep(j, &c, 1);
    }
}

static void ad_json_stream_word_end(struct ad_json_stream *j)
{
    size_t n;

    j->text[j->len] = '\0';
    n = ad_json_number(j->text, j->len);
    n = n != 0 ? n : ad_json_literal(j->text, j->len);
    if (n != j->len) {
        ad_json_stream_bad(j);
        return;
    }
    if (j->cut) {
        j->path = AD_PATH_NONE; /* its value is not known */
    }
    ad_json_stream_tell(j, AD_JSON_SCALAR);
    ad_json_stream_value_end(j);
}

static bool ad_json_stream_in_word(uint8_t c)
{
    return ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '+' || c == '.';
}

/* One character outside of strings and words; i is where it stands. */
static void ad_json_stream_mark(struct ad_json_stream *j, uint8_t c, size_t i)
{
    bool value = j->state == AD_JSON_VALUE || j->state == AD_JSON_VALUE_OR_END;
    bool key = j->state == AD_JSON_KEY || j->state == AD_JSON_KEY_OR_END;
    bool end = j->state == AD_JSON_VALUE_OR_END ||
               j->state == AD_JSON_KEY_OR_END || j->state == AD_JSON_AFTER;

    if (value && j->depth > 0 && !ad_json_stream_in_object(j)) {
        j->path = ad_json_stream_element(j->paths[j->depth - 1]);
    }
    if (c == '"' && (value || key)) {
        ad_json_stream_string_begin(j, key, i);
    } else if ((c == '{' || c == '[') && value) {
        ad_json_stream_open(j, c == '{');
    } else if ((c == '}' || c == ']') && end) {
        ad_json_stream_close(j, c == '}');
    } else if (c == ':' && j->state == AD_JSON_COLON) {
        j->state = AD_JSON_VALUE;
    } else if (c == ',' && j->state == AD_JSON_AFTER) {
        j->state = ad_json_stream_in_object(j) ? AD_JSON_KEY : AD_JSON_VALUE;
    } else if (ad_json_stream_in_word(c) && value) {
        j->state = AD_JSON_WORD;
        j->keep = true;
        j->cut = false;
        j->len = 0;
        ad_json_stream_keep(j, &c, 1);
    } else {
        ad_json_stream_bad(j);
    }
}

/* Read on, up to and including the next thing to tell (j->what). Returns how
 * many bytes were used: all of them when there is nothing to tell, unless the
 * text turned out bad. */
static size_t ad_json_stream_next(struct ad_json_stream *j, const uint8_t *in, size_t len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape;
    size_t i = 0, n;

    j->what = AD_JSON_NOTHING;
    while (i < len && j->what == AD_JSON_NOTHING && j->state != AD_JSON_BAD) {
        uint8_t c = in[i];

        switch (j->state) {
        case AD_JSON_STRING:
            for (n = i; n < len && in[n] >= 0x20 && in[n] != '"' &&
                        in[n] != '\\';
                 n++) {
            }
            if (n > i) {
                ad_json_stream_lone(j);
                ad_json_stream_keep(j, in + i, n - i);
                i = n;
                continue;
            }
            if (c == '"') {
                ad_json_stream_string_end(j);
            } else if (c == '\\') {
                j->state = AD_JSON_ESCAPE;
            } else {
                ad_json_stream_bad(j);
            }
            break;
        case AD_JSON_ESCAPE:
            escape = c != '\0' ? strchr(from, c) : NULL;
            if (escape != NULL) {
                ad_json_stream_lone(j);
                ad_json_stream_keep(j, to + (escape - from), 1);
                j->state = AD_JSON_STRING;
            } else if (c == 'u') {
                j->digits = 4;
                j->state = AD_JSON_HEX;
            } else {
                ad_json_stream_bad(j);
            }
            break;
        case AD_JSON_HEX:
            if (ad_hex(c) < 0) {
                ad_json_stream_bad(j);
                break;
            }
            j->code = (uint16_t)(j->code << 4 | ad_hex(c));
            if (--j->digits == 0) {
                ad_json_stream_unit(j);
                j->state = AD_JSON_STRING;
            }
            break;
        case AD_JSON_WORD:
            if (!ad_json_stream_in_word(c)) {
                ad_json_stream_word_end(j);
                continue; /* the character is looked at again */
            }
            ad_json_stream_word(j, c);
            break;
        default:
            if (ad_json_space((const char *)in + i, 1) == 0) {
                ad_json_stream_mark(j, c, i);
            }
            break;
        }
        i++;
    }
    j->at += i;
    return i;
}

/* The text has ended. Returns whether it was one whole JSON value. */
static bool ad_json_stream_end(struct ad_json_stream *j)
{
    if (j->state == AD_JSON_WORD) {
        ad_json_stream_word_end(j);
    }
    return j->state == AD_JSON_DONE;
}

static bool ad_json_stream_is(const struct ad_json_stream *j, const char *text)
{
    return strlen(text) == j->len && memcmp(j->text, text, j->len) == 0;
}

/* Copy a name out of the text, whole characters only, if it is one. */
static void ad_json_stream_name(const struct ad_json_stream *j, char *out, size_t max)
{
    size_t len = j->len < max ? j->len : max;

    if (j->cut || len < j->len) {
        while (len > 0 && !ad_utf8_ok((const uint8_t *)j->text, len)) {
            len--;
        }
    }
    if (ad_name_ok(j->text, len, max)) {
        memcpy(out, j->text, len);
        out[len] = '\0';
    }
}

#endif /* AIDASH_METER */

#endif
