/* llm_prompt.c - how much text a request's body has, and whether the engine cut
 * the prompt. Pure.
 *
 * The text is a rough measure, made so that it is rather too little: the strings of
 * the JSON body, but for keys, the thinking of earlier answers (chat templates drop
 * it) and what looks like base64. A run of one character, or of white space, is one
 * byte: tokenizers join it, too.
 */
#ifndef AD_CODEC_LLM_PROMPT_C
#define AD_CODEC_LLM_PROMPT_C

#include "../base/decimal.c"

#if AIDASH_METER

enum {
    AD_PROMPT_BLOB = 128,  /* characters of base64 in a row that are no words */
    AD_PROMPT_LINE = 60,   /* of them before a line break that goes on in base64 */
    AD_PROMPT_KEY_MAX = 20 /* bytes kept of a key */
};

enum ad_prompt_state {
    AD_PROMPT_BEGIN, /* only white space so far */
    AD_PROMPT_OUT,   /* outside of strings */
    AD_PROMPT_STRING,
    AD_PROMPT_ESCAPE,
    AD_PROMPT_HEX,
    AD_PROMPT_NONE   /* no JSON object: nothing is known */
};

struct ad_prompt {
    uint64_t text;    /* bytes of text */
    uint64_t num_ctx; /* the context that the request asks Ollama for; 0: none */
    uint64_t choices; /* "n"; 0: not said */
    uint64_t before;  /* `text` where the current string began */
    uint32_t run;     /* characters of base64 in a row */
    uint32_t run_text; /* of `text`, those of the run */
    uint16_t unit;    /* of \uXXXX */
    uint8_t state;    /* enum ad_prompt_state */
    uint8_t digits;   /* of \uXXXX still to come */
    uint8_t last;     /* the character before */
    uint8_t key_len, name_len;
    bool skip;        /* the current string is no text of the prompt */
    char key[AD_PROMPT_KEY_MAX];  /* the one before the current value */
    char name[AD_PROMPT_KEY_MAX]; /* the current string: it may be a key */
};

static bool ad_prompt_key_is(const struct ad_prompt *p, const char *key)
{
    return p->key_len == strlen(key) && memcmp(p->key, key, p->key_len) == 0;
}

static bool ad_prompt_is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Is it a character of base64 (RFC 4648 4, 5)? A bit for each: + - / 0-9 =, A-Z _,
 * a-z. */
static bool ad_prompt_is_base64(uint8_t c)
{
    static const uint32_t bits[8] = {0, 0x23FFA800, 0x87FFFFFE, 0x07FFFFFE};

    return (bits[c >> 5] >> (c & 31) & 1) != 0;
}

/* The first bytes of a string may be a key. */
static void ad_prompt_name(struct ad_prompt *p, const uint8_t *in, size_t len)
{
    size_t room = sizeof(p->name) - p->name_len;

    len = len < room ? len : room;
    memcpy(p->name + p->name_len, in, len);
    p->name_len = (uint8_t)(p->name_len + len);
}

/* Characters of a string, `weight` bytes of text each: up to its end, or to an
 * escape if `plain`. Returns how many were used. */
static size_t ad_prompt_chars(struct ad_prompt *p, const uint8_t *in, size_t len,
                              bool plain, unsigned weight)
{
    uint64_t text = p->text; /* in registers: `in` might be part of *p */
    uint32_t run = p->run, run_text = p->run_text;
    const bool skip = p->skip;
    uint8_t last = p->last;
    size_t i;

    for (i = 0; i < len; i++) {
        uint8_t c = in[i];

        if (plain && (c == '"' || c == '\\')) {
            break;
        }
        if (ad_prompt_is_base64(c)) {
            run++;
            if (run >= AD_PROMPT_BLOB) {
                text -= run_text;
                run = AD_PROMPT_BLOB; /* it may be gigabytes long */
                run_text = 0;
                last = c;
                continue;
            }
        } else if (ad_prompt_is_space(c)) {
            if (run >= AD_PROMPT_LINE && (c == '\n' || c == '\r')) {
                continue; /* base64 in lines */
            }
            c = ' ';
            run = 0;
            run_text = 0;
        } else {
            run = 0;
            run_text = 0;
        }
        if (c != last && !skip) {
            text += weight;
            run_text += run > 0 ? weight : 0;
        }
        last = c;
    }
    ad_prompt_name(p, in, i);
    p->text = text;
    p->run = run;
    p->run_text = run_text;
    p->last = last;
    return i;
}

/* A \uXXXX is complete: as many bytes as it has in UTF-8, two for each half of a
 * surrogate pair. */
static void ad_prompt_unit(struct ad_prompt *p)
{
    bool half = p->unit >= 0xD800 && p->unit <= 0xDFFF;
    uint8_t c = p->unit < 0x80 ? (uint8_t)p->unit : 0xFF;
    unsigned n = p->unit < 0x80 ? 1 : p->unit >= 0x800 && !half ? 3 : 2;

    if (n > 1) {
        p->last = 0; /* the one before may be another character */
    }
    (void)ad_prompt_chars(p, &c, 1, false, n);
}

static void ad_prompt_string_begin(struct ad_prompt *p)
{
    p->state = AD_PROMPT_STRING;
    p->before = p->text;
    p->name_len = 0;
    p->run = 0;
    p->run_text = 0;
    p->last = 0;
    p->skip = ad_prompt_key_is(p, "thinking") || ad_prompt_key_is(p, "reasoning") ||
              ad_prompt_key_is(p, "reasoning_content");
}

/* A byte outside of strings. */
static void ad_prompt_out(struct ad_prompt *p, uint8_t c)
{
    uint64_t *number = NULL;

    if (c == '"') {
        ad_prompt_string_begin(p);
    } else if (c == ':') { /* the string before was a key */
        p->text = p->before;
        p->key_len = p->name_len;
        memcpy(p->key, p->name, p->name_len);
        if (ad_prompt_key_is(p, "num_ctx")) {
            p->num_ctx = 0;
        } else if (ad_prompt_key_is(p, "n")) {
            p->choices = 0;
        }
    } else if (c >= '0' && c <= '9') {
        if (ad_prompt_key_is(p, "num_ctx")) {
            number = &p->num_ctx;
        } else if (ad_prompt_key_is(p, "n")) {
            number = &p->choices;
        }
    }
    if (number != NULL && *number < 100000000) {
        *number = *number * 10 + (uint64_t)(c - '0');
    }
}

/* Bytes of the body, free of its framing. */
static void ad_prompt_read(struct ad_prompt *p, const uint8_t *in, size_t len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t i;

    for (i = 0; i < len && p->state != AD_PROMPT_NONE; i++) {
        uint8_t c = in[i];
        const char *escape;

        switch (p->state) {
        case AD_PROMPT_BEGIN:
            if (!ad_prompt_is_space(c)) {
                p->state = c == '{' ? AD_PROMPT_OUT : AD_PROMPT_NONE;
            }
            break;
        case AD_PROMPT_OUT:
            ad_prompt_out(p, c);
            break;
        case AD_PROMPT_ESCAPE:
            escape = memchr(from, c, sizeof(from) - 1);
            p->state = AD_PROMPT_STRING;
            if (escape != NULL) {
                c = (uint8_t)to[escape - from];
                (void)ad_prompt_chars(p, &c, 1, false, 1);
            } else if (c == 'u') {
                p->state = AD_PROMPT_HEX;
                p->digits = 4;
                p->unit = 0;
            }
            break;
        case AD_PROMPT_HEX:
            p->unit = (uint16_t)(p->unit << 4);
            if (ad_hex(c) >= 0) {
                p->unit = (uint16_t)(p->unit | ad_hex(c));
            }
            p->digits--;
            if (p->digits == 0) {
                p->state = AD_PROMPT_STRING;
                ad_prompt_unit(p);
            }
            break;
        default:
            if (c == '"') {
                p->state = AD_PROMPT_OUT;
            } else if (c == '\\') {
                p->state = AD_PROMPT_ESCAPE;
            } else { /* the loop goes on behind them */
                i += ad_prompt_chars(p, in + i, len - i, true, 1) - 1;
            }
            break;
        }
    }
}

/* ---- was the prompt cut? ---- */

enum {
    AD_PROMPT_BYTES_PER_TOKEN = 4, /* of text: a rough floor */
    AD_PROMPT_SLACK = 8,   /* tokens by which the end of the context is missed */
    AD_PROMPT_KEEP = 32    /* half of num_keep: Ollama keeps so many tokens more */
};

/* What is known of a request and of its answer. */
struct ad_prompt_signs {
    uint64_t text;       /* bytes, as counted above */
    uint64_t prompt;     /* tokens of the prompt, as the engine tells; 0: not known */
    uint64_t completion; /* and of the answer */
    uint64_t context;    /* tokens; 0: not known */
    bool truncated;      /* the engine says so: of the prompt, or of the answer */
    bool drops;          /* it drops what is too long without a word: Ollama */
};

/* Did the engine cut the prompt? `truncated` alone does not say whether it was the
 * prompt or the answer. Where no engine says so, the prompt's tokens are where
 * cutting puts them, or far too few, while the text is far longer:
 * - at the end of the context;
 * - at its half: Ollama keeps num_keep tokens and half of the others
 *   (ollama/ollama issue 17427: num_ctx / 2 + 2);
 * - anywhere: Ollama leaves out the oldest messages of a chat. */
static bool ad_prompt_cut(const struct ad_prompt_signs *s)
{
    uint64_t text = s->text / AD_PROMPT_BYTES_PER_TOKEN;
    uint64_t half = s->context / 2;
    bool longer = s->prompt != 0 && text * 2 >= s->prompt * 3;

    if (s->truncated && (longer || s->prompt + s->completion + AD_PROMPT_SLACK <
                                       s->context)) {
        return true;
    }
    if (s->context == 0 || s->prompt == 0 || s->prompt > s->context + 1) {
        return false;
    }
    if (s->prompt + 1 >= s->context) {
        return longer;
    }
    if (s->prompt >= half && s->prompt <= half + AD_PROMPT_KEEP) {
        return text >= s->context;
    }
    return s->drops && text >= 2 * s->context;
}

#endif /* AIDASH_METER */

#endif
