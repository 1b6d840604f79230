#ifndef AD_CODEC_JSON_STREAM_C
#define AD_CODEC_JSON_STREAM_C

#if AIDASH_METER

/* ---- JSON in pieces ---- */

/* The places in a JSON text that matter to us. */
enum ad_node {
    AD_N_NONE,
    AD_N_TOP,     /* an event or a whole answer */
    AD_N_REQUEST, /* a request's body */
    AD_N_LIST,    /* several whole answers in an array */
    AD_N_CHOICES,
    AD_N_CHOICE,
    AD_N_DELTA,
    AD_N_CALLS,
    AD_N_CALL,
    AD_N_MESSAGE,
    AD_N_MESSAGE_USAGE,
    AD_N_RESPONSE,
    AD_N_INCOMPLETE,
    AD_N_USAGE,
    AD_N_DETAILS,
    AD_N_TIMINGS,
    AD_N_PROGRESS,
    AD_N_TGI_TOKEN,
    AD_N_TGI_DETAILS,
    AD_N_OPENAI_LIST, /* GET /v1/models */
    AD_N_OLLAMA_LIST, /* GET /api/tags, /api/ps */
    AD_N_LIST_ITEMS,
    AD_N_LIST_ITEM,
    AD_N_LIST_STATE,
    AD_N_ERROR,
    AD_N_TEXT,     /* of the answer: all that counts is whether it is empty */
    AD_N_TGI_TEXT, /* a string here ends the stream */
    AD_N_OVER,     /* true ends the stream */
    AD_N_STREAM,
    AD_N_MODEL, /* from here: short strings that are kept */
    AD_N_TYPE,
    AD_N_OBJECT,
    AD_N_FINISH,
    AD_N_LIST_NAME,
    AD_N_LIST_OWNER,
    AD_N_LIST_STATUS,
    AD_N_COMPLETION, /* from here: numbers, see ad_scan_event */
    AD_N_PROMPT,     /* all of it, but for the next two */
    AD_N_CACHE_READ,
    AD_N_CACHE_WRITE,
    AD_N_CACHED,
    AD_N_PREDICTED, /* of one choice: llama-server's timings */
    AD_N_CACHE_N,
    AD_N_PROMPT_N,
    AD_N_PROMPT_MS,
    AD_N_PROMPT_RATE,
    AD_N_PREDICTED_MS,
    AD_N_PREDICTED_RATE,
    AD_N_DRAFT_N,
    AD_N_DRAFT_ACCEPTED,
    AD_N_PROGRESS_TOTAL,
    AD_N_PROGRESS_CACHED,
    AD_N_PROGRESS_DONE,
    AD_N_PROGRESS_MS,
    AD_N_LOAD_NS,
    AD_N_PROMPT_NS,
    AD_N_EVAL_NS,
    AD_N_TOTAL_NS,
    AD_N_END
};

/* The ways from place to place. A key that is not here leads to AD_N_NONE, and
 * so does all below it. */
static const struct {
    uint8_t from, to;
    const char *key;
} ad_paths[] = {
    {AD_N_REQUEST, AD_N_MODEL, "model"},
    {AD_N_REQUEST, AD_N_STREAM, "stream"},

    /* OpenAI: chat completions, completions, embeddings; whole responses */
    {AD_N_TOP, AD_N_CHOICES, "choices"},
    {AD_N_TOP, AD_N_MODEL, "model"},
    {AD_N_TOP, AD_N_USAGE, "usage"},
    {AD_N_TOP, AD_N_ERROR, "error"},
    {AD_N_TOP, AD_N_OBJECT, "object"},
    {AD_N_TOP, AD_N_INCOMPLETE, "incomplete_details"},
    {AD_N_CHOICE, AD_N_DELTA, "delta"},
    {AD_N_CHOICE, AD_N_TEXT, "text"},
    {AD_N_CHOICE, AD_N_FINISH, "finish_reason"},
    {AD_N_DELTA, AD_N_TEXT, "content"},
    {AD_N_DELTA, AD_N_TEXT, "reasoning_content"},
    {AD_N_DELTA, AD_N_TEXT, "reasoning"},
    {AD_N_DELTA, AD_N_TEXT, "refusal"},
    {AD_N_DELTA, AD_N_CALLS, "tool_calls"},
    {AD_N_DELTA, AD_N_CALL, "function_call"},
    {AD_N_USAGE, AD_N_COMPLETION, "completion_tokens"},
    {AD_N_USAGE, AD_N_COMPLETION, "output_tokens"},
    {AD_N_USAGE, AD_N_PROMPT, "prompt_tokens"},
    {AD_N_USAGE, AD_N_PROMPT, "input_tokens"},
    {AD_N_USAGE, AD_N_CACHE_READ, "cache_read_input_tokens"},
    {AD_N_USAGE, AD_N_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_N_USAGE, AD_N_DETAILS, "prompt_tokens_details"},
    {AD_N_USAGE, AD_N_DETAILS, "input_tokens_details"},
    {AD_N_DETAILS, AD_N_CACHED, "cached_tokens"},

    /* OpenAI: events of /v1/responses; Ollama's "response" is a string */
    {AD_N_TOP, AD_N_TYPE, "type"},
    {AD_N_TOP, AD_N_DELTA, "delta"},
    {AD_N_TOP, AD_N_RESPONSE, "response"},
    {AD_N_RESPONSE, AD_N_MODEL, "model"},
    {AD_N_RESPONSE, AD_N_USAGE, "usage"},
    {AD_N_RESPONSE, AD_N_INCOMPLETE, "incomplete_details"},
    {AD_N_INCOMPLETE, AD_N_FINISH, "reason"},

    /* Anthropic: /v1/messages. The usage in "message" knows the prompt, but
     * not yet the answer. */
    {AD_N_TOP, AD_N_FINISH, "stop_reason"},
    {AD_N_TOP, AD_N_MESSAGE, "message"},
    {AD_N_MESSAGE, AD_N_MODEL, "model"},
    {AD_N_MESSAGE, AD_N_MESSAGE_USAGE, "usage"},
    {AD_N_MESSAGE_USAGE, AD_N_PROMPT, "input_tokens"},
    {AD_N_MESSAGE_USAGE, AD_N_CACHE_READ, "cache_read_input_tokens"},
    {AD_N_MESSAGE_USAGE, AD_N_CACHE_WRITE, "cache_creation_input_tokens"},
    {AD_N_DELTA, AD_N_TEXT, "text"},
    {AD_N_DELTA, AD_N_TEXT, "thinking"},
    {AD_N_DELTA, AD_N_TEXT, "partial_json"},
    {AD_N_DELTA, AD_N_FINISH, "stop_reason"},

    /* llama-server: timings with every API, and /completion */
    {AD_N_TOP, AD_N_TIMINGS, "timings"},
    {AD_N_TOP, AD_N_PROGRESS, "prompt_progress"},
    {AD_N_TOP, AD_N_TEXT, "content"},
    {AD_N_TOP, AD_N_OVER, "stop"},
    {AD_N_TOP, AD_N_FINISH, "stop_type"},
    {AD_N_TOP, AD_N_PREDICTED, "tokens_predicted"},
    {AD_N_TOP, AD_N_PROMPT, "tokens_evaluated"},
    {AD_N_TIMINGS, AD_N_CACHE_N, "cache_n"},
    {AD_N_TIMINGS, AD_N_PROMPT_N, "prompt_n"},
    {AD_N_TIMINGS, AD_N_PROMPT_MS, "prompt_ms"},
    {AD_N_TIMINGS, AD_N_PROMPT_RATE, "prompt_per_second"},
    {AD_N_TIMINGS, AD_N_PREDICTED, "predicted_n"},
    {AD_N_TIMINGS, AD_N_PREDICTED_MS, "predicted_ms"},
    {AD_N_TIMINGS, AD_N_PREDICTED_RATE, "predicted_per_second"},
    {AD_N_TIMINGS, AD_N_DRAFT_N, "draft_n"},
    {AD_N_TIMINGS, AD_N_DRAFT_ACCEPTED, "draft_n_accepted"},
    {AD_N_PROGRESS, AD_N_PROGRESS_TOTAL, "total"},
    {AD_N_PROGRESS, AD_N_PROGRESS_CACHED, "cache"},
    {AD_N_PROGRESS, AD_N_PROGRESS_DONE, "processed"},
    {AD_N_PROGRESS, AD_N_PROGRESS_MS, "time_ms"},

    /* Ollama: /api/chat, /api/generate, /api/embed */
    {AD_N_TOP, AD_N_TEXT, "thinking"},
    {AD_N_TOP, AD_N_OVER, "done"},
    {AD_N_TOP, AD_N_FINISH, "done_reason"},
    {AD_N_TOP, AD_N_COMPLETION, "eval_count"},
    {AD_N_TOP, AD_N_PROMPT, "prompt_eval_count"},
    {AD_N_TOP, AD_N_CACHED, "prompt_eval_cached_count"},
    {AD_N_TOP, AD_N_LOAD_NS, "load_duration"},
    {AD_N_TOP, AD_N_PROMPT_NS, "prompt_eval_duration"},
    {AD_N_TOP, AD_N_EVAL_NS, "eval_duration"},
    {AD_N_TOP, AD_N_TOTAL_NS, "total_duration"},
    {AD_N_MESSAGE, AD_N_TEXT, "content"},
    {AD_N_MESSAGE, AD_N_TEXT, "thinking"},
    {AD_N_MESSAGE, AD_N_CALLS, "tool_calls"},

    /* TGI: /generate_stream */
    {AD_N_TOP, AD_N_TGI_TOKEN, "token"},
    {AD_N_TOP, AD_N_TGI_DETAILS, "details"},
    {AD_N_TOP, AD_N_TGI_TEXT, "generated_text"},
    {AD_N_TGI_TOKEN, AD_N_TEXT, "text"},
    {AD_N_TGI_DETAILS, AD_N_FINISH, "finish_reason"},
    {AD_N_TGI_DETAILS, AD_N_COMPLETION, "generated_tokens"},
    {AD_N_TGI_DETAILS, AD_N_PROMPT, "input_length"},

    /* Lists of models: OpenAI's, with llama-server's state of each in its
     * router mode; Ollama's */
    {AD_N_OPENAI_LIST, AD_N_LIST_ITEMS, "data"},
    {AD_N_OLLAMA_LIST, AD_N_LIST_ITEMS, "models"},
    {AD_N_LIST_ITEM, AD_N_LIST_NAME, "id"},
    {AD_N_LIST_ITEM, AD_N_LIST_NAME, "name"},
    {AD_N_LIST_ITEM, AD_N_LIST_OWNER, "owned_by"},
    {AD_N_LIST_ITEM, AD_N_LIST_STATE, "status"},
    {AD_N_LIST_STATE, AD_N_LIST_STATUS, "value"},
};

static uint8_t ad_path(uint8_t from, const char *key, size_t len)
{
    size_t i;

    for (i = 0; i < AD_COUNT(ad_paths) && from != AD_N_NONE; i++) {
        if (ad_paths[i].from == from && strlen(ad_paths[i].key) == len &&
            memcmp(ad_paths[i].key, key, len) == 0) {
            return ad_paths[i].to;
        }
    }
    return AD_N_NONE;
}

enum ad_js_state {
    AD_JS_VALUE,        /* a value comes */
    AD_JS_VALUE_OR_END, /* behind [ */
    AD_JS_KEY,          /* behind a comma in an object */
    AD_JS_KEY_OR_END,   /* behind { */
    AD_JS_COLON,
    AD_JS_STRING,
    AD_JS_ESCAPE,
    AD_JS_HEX,
    AD_JS_WORD,         /* a number or a literal */
    AD_JS_AFTER,        /* a comma or a closing bracket comes */
    AD_JS_DONE,
    AD_JS_BAD
};

/* What ad_js_next() stopped at; only what has a place is told. */
enum ad_js_what {
    AD_JS_NOTHING,
    AD_JS_OPEN,    /* an object or array begins */
    AD_JS_CLOSE,
    AD_JS_TEXT,    /* a string has ended */
    AD_JS_SCALAR   /* a number or literal has ended, and is in `text` */
};

struct ad_js {
    uint8_t state; /* enum ad_js_state */
    uint8_t what;  /* enum ad_js_what */
    uint8_t node;  /* enum ad_node of the value at hand */
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
    uint8_t nodes[AD_SCAN_DEPTH_MAX]; /* of the objects and arrays around */
    char text[AD_SCAN_TEXT_MAX + 1];
};
_Static_assert(AD_SCAN_DEPTH_MAX <= 64, "ad_js.objects has 64 bits");
_Static_assert(AD_SCAN_TEXT_MAX <= 255, "ad_js.len has 8 bits");
_Static_assert(AD_SCAN_TEXT_MAX >= 48, "keys and numbers fit ad_js.text");

static void ad_js_begin(struct ad_js *j, uint8_t node)
{
    memset(j, 0, sizeof(*j));
    j->node = node;
}

static void ad_js_keep(struct ad_js *j, const void *s, size_t len)
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

static void ad_js_keep_code(struct ad_js *j, unsigned long code)
{
    char bytes[4];

    ad_js_keep(j, bytes, ad_utf8_put(bytes, code));
}

/* Half a surrogate pair that stayed alone. */
static void ad_js_lone(struct ad_js *j)
{
    if (j->high != 0) {
        j->high = 0;
        ad_js_keep_code(j, 0xFFFD);
    }
}

/* Four digits of a \u escape are there: UTF-16, RFC 8259 7. */
static void ad_js_unit(struct ad_js *j)
{
    unsigned long code = j->code;

    if (code >= 0xDC00 && code <= 0xDFFF && j->high != 0) {
        code += 0x10000 - 0xDC00 + ((j->high - 0xD800ul) << 10);
        j->high = 0;
        ad_js_keep_code(j, code);
        return;
    }
    ad_js_lone(j);
    if (code >= 0xD800 && code <= 0xDBFF) {
        j->high = j->code;
    } else {
        ad_js_keep_code(j, code >= 0xDC00 && code <= 0xDFFF ? 0xFFFD : code);
    }
}

static void ad_js_bad(struct ad_js *j)
{
    j->state = AD_JS_BAD;
}

static void ad_js_tell(struct ad_js *j, enum ad_js_what what)
{
    j->what = j->node != AD_N_NONE ? (uint8_t)what : AD_JS_NOTHING;
}

static void ad_js_value_end(struct ad_js *j)
{
    j->state = j->depth == 0 ? AD_JS_DONE : AD_JS_AFTER;
}

static bool ad_js_in_object(const struct ad_js *j)
{
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

/* The place of an array's elements. */
static uint8_t ad_js_element(uint8_t array)
{
    switch (array) {
    case AD_N_CHOICES:
        return AD_N_CHOICE;
    case AD_N_CALLS:
        return AD_N_CALL;
    case AD_N_LIST:
        return AD_N_TOP;
    case AD_N_LIST_ITEMS:
        return AD_N_LIST_ITEM;
    default:
        return AD_N_NONE;
    }
}

static void ad_js_open(struct ad_js *j, bool object)
{
    if (j->depth == AD_SCAN_DEPTH_MAX) {
        j->deep = true;
        ad_js_bad(j);
        return;
    }
    if (!object && (j->node == AD_N_TOP || j->node == AD_N_REQUEST)) {
        j->node = j->node == AD_N_TOP && j->depth == 0 ? AD_N_LIST : AD_N_NONE;
    }
    ad_js_tell(j, AD_JS_OPEN);
    j->nodes[j->depth] = j->node;
    j->objects &= ~(1ull << j->depth);
    j->objects |= (uint64_t)object << j->depth;
    j->depth++;
    j->state = object ? AD_JS_KEY_OR_END : AD_JS_VALUE_OR_END;
}

static void ad_js_close(struct ad_js *j, bool object)
{
    if (j->depth == 0 || ad_js_in_object(j) != object) {
        ad_js_bad(j);
        return;
    }
    j->depth--;
    j->node = j->nodes[j->depth];
    ad_js_tell(j, AD_JS_CLOSE);
    ad_js_value_end(j);
}

static void ad_js_string_begin(struct ad_js *j, bool key, size_t i)
{
    j->state = AD_JS_STRING;
    j->key = key;
    /* Nothing of an answer's text is ever kept. */
    j->keep = key || (j->node >= AD_N_MODEL && j->node <= AD_N_LIST_STATUS);
    j->any = j->cut = false;
    j->len = 0;
    j->from = j->at + i;
}

static void ad_js_string_end(struct ad_js *j)
{
    ad_js_lone(j);
    j->text[j->len] = '\0';
    if (j->key) {
        j->node = j->cut ? AD_N_NONE
                         : ad_path(j->nodes[j->depth - 1], j->text, j->len);
        j->state = AD_JS_COLON;
        return;
    }
    ad_js_tell(j, AD_JS_TEXT);
    ad_js_value_end(j);
}

/* A number too long to be kept loses digits that follow others: it stays a
 * number, or stays none, and 8 bytes are left for what may still come, as in
 * .1e-1. */
static void ad_js_word(struct ad_js *j, uint8_t c)
{
    if (j->len >= AD_SCAN_TEXT_MAX - 8 && ad_is_digit(c) &&
        ad_is_digit(j->text[j->len - 1])) {
        j->cut = true;
    } else {
        ad_js_keep(j, &c, 1);
    }
}

static void ad_js_word_end(struct ad_js *j)
{
    size_t n;

    j->text[j->len] = '\0';
    n = ad_json_number(j->text, j->len);
    n = n != 0 ? n : ad_json_literal(j->text, j->len);
    if (n != j->len) {
        ad_js_bad(j);
        return;
    }
    if (j->cut) {
        j->node = AD_N_NONE; /* its value is not known */
    }
    ad_js_tell(j, AD_JS_SCALAR);
    ad_js_value_end(j);
}

static bool ad_js_in_word(uint8_t c)
{
    return ad_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '-' || c == '+' || c == '.';
}

/* One character outside of strings and words; i is where it stands. */
static void ad_js_mark(struct ad_js *j, uint8_t c, size_t i)
{
    bool value = j->state == AD_JS_VALUE || j->state == AD_JS_VALUE_OR_END;
    bool key = j->state == AD_JS_KEY || j->state == AD_JS_KEY_OR_END;
    bool end = j->state == AD_JS_VALUE_OR_END ||
               j->state == AD_JS_KEY_OR_END || j->state == AD_JS_AFTER;

    if (value && j->depth > 0 && !ad_js_in_object(j)) {
        j->node = ad_js_element(j->nodes[j->depth - 1]);
    }
    if (c == '"' && (value || key)) {
        ad_js_string_begin(j, key, i);
    } else if ((c == '{' || c == '[') && value) {
        ad_js_open(j, c == '{');
    } else if ((c == '}' || c == ']') && end) {
        ad_js_close(j, c == '}');
    } else if (c == ':' && j->state == AD_JS_COLON) {
        j->state = AD_JS_VALUE;
    } else if (c == ',' && j->state == AD_JS_AFTER) {
        j->state = ad_js_in_object(j) ? AD_JS_KEY : AD_JS_VALUE;
    } else if (ad_js_in_word(c) && value) {
        j->state = AD_JS_WORD;
        j->keep = true;
        j->cut = false;
        j->len = 0;
        ad_js_keep(j, &c, 1);
    } else {
        ad_js_bad(j);
    }
}

/* Read on, up to and including the next thing to tell (j->what). Returns how
 * many bytes were used: all of them when there is nothing to tell, unless the
 * text turned out bad. */
static size_t ad_js_next(struct ad_js *j, const uint8_t *in, size_t len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *escape;
    size_t i = 0, n;

    j->what = AD_JS_NOTHING;
    while (i < len && j->what == AD_JS_NOTHING && j->state != AD_JS_BAD) {
        uint8_t c = in[i];

        switch (j->state) {
        case AD_JS_STRING:
            for (n = i; n < len && in[n] >= 0x20 && in[n] != '"' &&
                        in[n] != '\\';
                 n++) {
            }
            if (n > i) {
                ad_js_lone(j);
                ad_js_keep(j, in + i, n - i);
                i = n;
                continue;
            }
            if (c == '"') {
                ad_js_string_end(j);
            } else if (c == '\\') {
                j->state = AD_JS_ESCAPE;
            } else {
                ad_js_bad(j);
            }
            break;
        case AD_JS_ESCAPE:
            escape = c != '\0' ? strchr(from, c) : NULL;
            if (escape != NULL) {
                ad_js_lone(j);
                ad_js_keep(j, to + (escape - from), 1);
                j->state = AD_JS_STRING;
            } else if (c == 'u') {
                j->digits = 4;
                j->state = AD_JS_HEX;
            } else {
                ad_js_bad(j);
            }
            break;
        case AD_JS_HEX:
            if (ad_hex(c) < 0) {
                ad_js_bad(j);
                break;
            }
            j->code = (uint16_t)(j->code << 4 | ad_hex(c));
            if (--j->digits == 0) {
                ad_js_unit(j);
                j->state = AD_JS_STRING;
            }
            break;
        case AD_JS_WORD:
            if (!ad_js_in_word(c)) {
                ad_js_word_end(j);
                continue; /* the character is looked at again */
            }
            ad_js_word(j, c);
            break;
        default:
            if (ad_json_space((const char *)in + i, 1) == 0) {
                ad_js_mark(j, c, i);
            }
            break;
        }
        i++;
    }
    j->at += i;
    return i;
}

/* The text has ended. Returns whether it was one whole JSON value. */
static bool ad_js_end(struct ad_js *j)
{
    if (j->state == AD_JS_WORD) {
        ad_js_word_end(j);
    }
    return j->state == AD_JS_DONE;
}

#endif /* AIDASH_METER */

#endif
