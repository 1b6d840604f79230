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

/* Is it a character of base64 (RFC 4648 4, 5)? */
static bool ad_prompt_is_base64(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=' ||
           c == '-' || c == '_';
}

/* A character of a string, as its UTF-8 has n bytes; c: the first of them. */
static void ad_prompt_char(struct ad_prompt *p, uint8_t c, unsigned n)
{
    if (p->name_len < sizeof(p->name)) {
        p->name[p->name_len++] = (char)c;
    }
    if (ad_prompt_is_space(c)) {
        if ((c == '\n' || c == '\r') && p->run >= AD_PROMPT_LINE) {
            return; /* base64 in lines */
        }
        c = ' ';
    }
    if (ad_prompt_is_base64(c)) {
        p->run++;
    } else {
        p->run = 0;
        p->run_text = 0;
    }
    if (p->run == AD_PROMPT_BLOB) {
        p->text -= p->run_text;
    }
    if (c != p->last && p->run < AD_PROMPT_BLOB && !p->skip) {
        p->text += n;
        p->run_text += p->run > 0 ? n : 0;
    }
    p->last = c;
}

/* A \uXXXX is complete: as many bytes as it has in UTF-8, two for each half of a
 * surrogate pair. */
static void ad_prompt_unit(struct ad_prompt *p)
{
    bool half = p->unit >= 0xD800 && p->unit <= 0xDFFF;

    if (p->unit < 0x80) {
        ad_prompt_char(p, (uint8_t)p->unit, 1);
    } else {
        p->last = 0; /* the next may be the same byte of another character */
        ad_prompt_char(p, 0xFF, p->unit >= 0x800 && !half ? 3 : 2);
    }
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
                ad_prompt_char(p, (uint8_t)to[escape - from], 1);
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
            } else {
                ad_prompt_char(p, c, 1);
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
