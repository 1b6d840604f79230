/* top_screen.c - what `aidash top` shows: a screen of any size as lines of text, and
 * one JSON object. Pure: the state and the buffer are the caller's.
 * Always: no line is wider than the screen, and there are no more lines than it has.
 */
#ifndef AD_APP_TOP_SCREEN_C
#define AD_APP_TOP_SCREEN_C

#include "top_state.c"

#if AD_TOP

enum {
    AD_TOP_COLUMNS_MAX = 300,
    AD_TOP_ROWS_MAX = 120,
    /* Bytes of a screen: a character of 4 bytes a column, colours, a line's end. */
    AD_TOP_SCREEN_MAX = AD_TOP_ROWS_MAX * (4 * AD_TOP_COLUMNS_MAX + 128)
};

struct ad_top_view {
    unsigned columns, rows; /* 1 to AD_TOP_COLUMNS_MAX, AD_TOP_ROWS_MAX */
    bool utf8, colours;
    const char *place;  /* HOST:PORT */
    const char *notice; /* on the last line; "": none */
    double now_s;       /* our clock */
};

/* The screen as it is written. */
struct ad_top_page {
    const struct ad_top_view *view;
    struct ad_text *out;
    unsigned row;    /* lines begun */
    unsigned column; /* of the current line: where the next character goes */
};

#define AD_TOP_BOLD "1"
#define AD_TOP_DIM "2"
#define AD_TOP_RED "31"
#define AD_TOP_GREEN "32"
#define AD_TOP_YELLOW "33"
#define AD_TOP_CYAN "36"

/* ---- characters ---- */

/* Columns of a character on a terminal: 2 of those that East Asian fonts and emojis
 * make wide (UAX 11), 0 of marks that stand on the one before. */
static unsigned ad_top_width(unsigned long c)
{
    static const struct {
        uint32_t from, to, width;
    } odd[] = {{0x300, 0x36F, 0},     {0x483, 0x489, 0},     {0x591, 0x5BD, 0},
               {0x610, 0x61A, 0},     {0x64B, 0x65F, 0},     {0x93C, 0x93C, 0},
               {0x941, 0x948, 0},     {0x94D, 0x94D, 0},     {0xE31, 0xE31, 0},
               {0xE34, 0xE3A, 0},     {0xE47, 0xE4E, 0},     {0x1100, 0x115F, 2},
               {0x1AB0, 0x1AFF, 0},   {0x1DC0, 0x1DFF, 0},   {0x20D0, 0x20FF, 0},
               {0x231A, 0x231B, 2},   {0x23E9, 0x23EC, 2},   {0x25FD, 0x25FE, 2},
               {0x2614, 0x2615, 2},   {0x2648, 0x2653, 2},   {0x26A1, 0x26A1, 2},
               {0x26BD, 0x26BE, 2},   {0x26C4, 0x26C5, 2},   {0x2705, 0x2705, 2},
               {0x270A, 0x270B, 2},   {0x2728, 0x2728, 2},   {0x274C, 0x274C, 2},
               {0x2753, 0x2755, 2},   {0x2757, 0x2757, 2},   {0x2795, 0x2797, 2},
               {0x2B1B, 0x2B1C, 2},   {0x2B50, 0x2B50, 2},   {0x2E80, 0x303E, 2},
               {0x3041, 0x33FF, 2},   {0x3400, 0x4DBF, 2},   {0x4E00, 0xA4CF, 2},
               {0xA960, 0xA97F, 2},   {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},
               {0xFE00, 0xFE0F, 0},   {0xFE20, 0xFE2F, 0},   {0xFE30, 0xFE6F, 2},
               {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},   {0x16FE0, 0x18CFF, 2},
               {0x1B000, 0x1B2FF, 2}, {0x1F004, 0x1F004, 2}, {0x1F0CF, 0x1F0CF, 2},
               {0x1F18E, 0x1F18E, 2}, {0x1F191, 0x1F19A, 2}, {0x1F200, 0x1F320, 2},
               {0x1F32D, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F7E0, 0x1F7EB, 2},
               {0x1F900, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2}};
    size_t i;

    for (i = 0; i < AD_COUNT(odd) && c >= odd[i].from; i++) {
        if (c <= odd[i].to) {
            return odd[i].width;
        }
    }
    return 1;
}

/* Columns of a text; in ASCII every character has one. */
static unsigned ad_top_columns(const char *s, bool utf8)
{
    unsigned n = 0;

    while (*s != '\0') {
        unsigned long c = ad_top_character(&s);

        n += utf8 ? ad_top_width(c) : 1;
    }
    return n;
}

/* ---- lines ---- */

/* Begin the next line. False if the screen has no more. */
static bool ad_top_line(struct ad_top_page *p)
{
    if (p->row >= p->view->rows) {
        return false;
    }
    if (p->row > 0) {
        ad_puts(p->out, "\n");
    }
    p->row++;
    p->column = 0;
    return true;
}

/* A text, cut where column `end` begins. */
static void ad_top_put_to(struct ad_top_page *p, const char *s, unsigned end)
{
    end = end < p->view->columns ? end : p->view->columns;
    while (*s != '\0') {
        const char *at = s;
        unsigned long c = ad_top_character(&s);
        unsigned width = p->view->utf8 ? ad_top_width(c) : 1;

        if (p->column + width > end) {
            return;
        }
        if (c < 0x80 || (p->view->utf8 && c != AD_TOP_CUT)) {
            ad_put(p->out, at, (size_t)(s - at));
        } else {
            ad_puts(p->out, "?");
        }
        p->column += width;
    }
}

static void ad_top_put(struct ad_top_page *p, const char *s)
{
    ad_top_put_to(p, s, p->view->columns);
}

/* A text in a colour. */
static void ad_top_paint(struct ad_top_page *p, const char *colour, const char *s)
{
    if (p->view->colours) {
        ad_putf(p->out, "\033[%sm", colour);
    }
    ad_top_put(p, s);
    if (p->view->colours) {
        ad_puts(p->out, "\033[m");
    }
}

/* Blanks up to a column. */
static void ad_top_goto(struct ad_top_page *p, unsigned column)
{
    column = column < p->view->columns ? column : p->view->columns;
    while (p->column < column) {
        ad_puts(p->out, " ");
        p->column++;
    }
}

/* The next of the facts of a line, a gap before it unless it is the first. One that
 * does not fit is left out whole. */
static void ad_top_fact(struct ad_top_page *p, unsigned first, const char *colour,
                        const char *s)
{
    unsigned gap = p->column > first ? 2 : 0;

    if (p->column + gap + ad_top_columns(s, p->view->utf8) > p->view->columns) {
        return;
    }
    ad_top_goto(p, p->column + gap);
    if (colour != NULL) {
        ad_top_paint(p, colour, s);
    } else {
        ad_top_put(p, s);
    }
}

/* ---- numbers ---- */

enum { AD_TOP_CELL = 32 }; /* bytes of a number with its unit */

/* A count, in thousands (k) or millions (M) where it is long. "" for NaN. */
static void ad_top_count(char out[AD_TOP_CELL], double n)
{
    if (!(n >= 0)) {
        out[0] = '\0';
    } else if (n < 10000) {
        (void)snprintf(out, AD_TOP_CELL, "%.0f", n);
    } else if (n < 9999500) {
        (void)snprintf(out, AD_TOP_CELL, "%.*fk", n < 99950 ? 1 : 0, n / 1e3);
    } else {
        (void)snprintf(out, AD_TOP_CELL, "%.1fM", n < 1e15 ? n / 1e6 : 1e9);
    }
}

/* A time. "" for NaN. */
static void ad_top_time(char out[AD_TOP_CELL], double ms)
{
    if (!(ms >= 0)) {
        out[0] = '\0';
    } else if (ms < 9.95) {
        (void)snprintf(out, AD_TOP_CELL, "%.1f ms", ms);
    } else if (ms < 9999.5) {
        (void)snprintf(out, AD_TOP_CELL, "%.0f ms", ms);
    } else if (ms < 599500) {
        (void)snprintf(out, AD_TOP_CELL, "%.1f s", ms / 1e3);
    } else {
        (void)snprintf(out, AD_TOP_CELL, "%.0f min", ms < 1e12 ? ms / 6e4 : 1e7);
    }
}

/* A rate: 3 or more digits. "" for NaN. */
static void ad_top_speed(char out[AD_TOP_CELL], double rate)
{
    if (!(rate >= 0)) {
        out[0] = '\0';
    } else {
        (void)snprintf(out, AD_TOP_CELL, "%.*f", rate < 99.95 ? 1 : 0,
                       rate < 1e9 ? rate : 1e9);
    }
}

/* Bytes: of memory in GB. "" for NaN. */
static void ad_top_bytes(char out[AD_TOP_CELL], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    unsigned i = 0;

    if (!(bytes >= 0)) {
        out[0] = '\0';
        return;
    }
    while (bytes >= 999.5 && i + 1 < AD_COUNT(units)) {
        bytes /= 1000;
        i++;
    }
    (void)snprintf(out, AD_TOP_CELL, "%.*f %s", i > 0 && bytes < 99.95 ? 1 : 0,
                   bytes < 1e6 ? bytes : 1e6, units[i]);
}

/* ---- the head ---- */

static const char *ad_top_word_colour(const char *word)
{
    if (strcmp(word, "running") == 0 || strcmp(word, "benchmark") == 0) {
        return AD_TOP_GREEN;
    }
    if (strcmp(word, "paused") == 0 || strcmp(word, "loading") == 0 ||
        strcmp(word, "connecting") == 0) {
        return AD_TOP_YELLOW;
    }
    return strcmp(word, "idle") == 0 ? AD_TOP_DIM : AD_TOP_RED;
}

static void ad_top_title(struct ad_top_page *p, const struct ad_top_state *s,
                         double server_s)
{
    const char *word = ad_top_word(s, server_s);
    char text[64 + AD_TOP_NAME];

    if (!ad_top_line(p)) {
        return;
    }
    ad_top_paint(p, AD_TOP_BOLD, "aidash");
    ad_top_goto(p, p->column + 2);
    /* Of a long name the end is cut, as the state counts more. */
    ad_top_put_to(p, p->view->place,
                  p->view->columns > 32 ? p->view->columns - 18 : p->view->columns);
    ad_top_fact(p, 0, ad_top_word_colour(word), word);
    if (s->reason[0] != '\0') {
        ad_top_fact(p, 0, NULL, s->reason);
    }
    if (!isnan(s->viewers)) {
        (void)snprintf(text, sizeof(text), "%.0f viewer%s", s->viewers,
                       s->viewers == 1 ? "" : "s");
        ad_top_fact(p, 0, NULL, text);
    }
    if (s->version[0] != '\0') {
        (void)snprintf(text, sizeof(text), "version %s", s->version);
        ad_top_fact(p, 0, AD_TOP_DIM, text);
    }
}

enum { AD_TOP_LABEL = 10 }; /* columns of a label at the beginning of a line */

static void ad_top_label(struct ad_top_page *p, const char *label)
{
    ad_top_paint(p, AD_TOP_DIM, label);
    ad_top_goto(p, AD_TOP_LABEL);
}

static void ad_top_model_line(struct ad_top_page *p, const struct ad_top_state *s)
{
    char count[AD_TOP_CELL], text[64];

    if (!ad_top_line(p)) {
        return;
    }
    ad_top_label(p, "model");
    ad_top_paint(p, AD_TOP_BOLD, s->model[0] != '\0' ? s->model : "-");
    if (s->n_models > 1) {
        (void)snprintf(text, sizeof(text), "of %.0f", s->n_models);
        ad_top_fact(p, AD_TOP_LABEL, AD_TOP_DIM, text);
    }
    ad_top_count(count, s->tokens);
    if (count[0] != '\0') {
        (void)snprintf(text, sizeof(text), "%s tokens", count);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (s->queued > 0) {
        (void)snprintf(text, sizeof(text), "%.0f in line", s->queued);
        ad_top_fact(p, AD_TOP_LABEL, AD_TOP_YELLOW, text);
    }
}

/* The rates of the last seconds, one a column, up to the greatest of those shown. */
static void ad_top_spark(struct ad_top_page *p, const struct ad_top_state *s,
                         unsigned columns)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {".", ":", "-", "=", "+", "*", "#", "@"};
    double most = 0;
    unsigned i;

    columns = columns < AD_TOP_SECONDS ? columns : AD_TOP_SECONDS;
    for (i = 0; i < columns; i++) {
        double rate = s->seconds[(s->second - i + AD_TOP_SECONDS) % AD_TOP_SECONDS];

        most = rate > most ? rate : most;
    }
    if (p->view->colours) {
        ad_puts(p->out, "\033[" AD_TOP_CYAN "m");
    }
    for (i = columns; i-- > 0;) {
        double rate = s->seconds[(s->second - i + AD_TOP_SECONDS) % AD_TOP_SECONDS];
        unsigned level = most > 0 && rate > 0 ? (unsigned)(rate / most * 7 + 0.5) : 0;

        level = level < 7 ? level : 7;
        ad_top_put(p, isnan(rate) ? " " : p->view->utf8 ? blocks[level] : ascii[level]);
    }
    if (p->view->colours) {
        ad_puts(p->out, "\033[m");
    }
}

static void ad_top_rates(struct ad_top_page *p, const struct ad_top_state *s,
                         double server_s)
{
    char cell[AD_TOP_CELL];
    double p50, p95;

    if (!ad_top_line(p)) {
        return;
    }
    ad_top_label(p, "tokens/s");
    ad_top_speed(cell, ad_top_rate(s, server_s));
    ad_top_paint(p, AD_TOP_BOLD, cell);
    ad_top_goto(p, AD_TOP_LABEL + 8);
    if (s->second > 0 && p->view->columns > p->column) {
        ad_top_spark(p, s, p->view->columns - p->column);
    }
    if (!ad_top_line(p)) {
        return;
    }
    ad_top_label(p, "latency");
    ad_top_percentiles(s, server_s, &p50, &p95);
    if (isnan(p50)) {
        ad_top_put(p, "-");
        return;
    }
    ad_top_time(cell, p50);
    ad_top_put(p, "p50 ");
    ad_top_paint(p, AD_TOP_BOLD, cell);
    ad_top_time(cell, p95);
    ad_top_put(p, "  p95 ");
    ad_top_paint(p, AD_TOP_BOLD, cell);
}

/* A sentence over at most `rows` lines, broken at blanks. */
static void ad_top_sentence(struct ad_top_page *p, const char *colour, const char *s,
                            unsigned rows)
{
    while (*s != '\0' && rows-- > 0) {
        char part[AD_TOP_SENTENCE];
        const char *at = s, *blank = NULL;
        unsigned n = 0;

        while (*at != '\0') {
            const char *before = at;
            unsigned long c = ad_top_character(&at);
            unsigned width = p->view->utf8 ? ad_top_width(c) : 1;

            if (n + width > p->view->columns) {
                at = blank != NULL && rows > 0 ? blank : before;
                break;
            }
            n += width;
            blank = c == ' ' ? before : blank;
        }
        if (at == s || !ad_top_line(p)) {
            return;
        }
        (void)snprintf(part, sizeof(part), "%.*s", (int)(at - s), s);
        ad_top_paint(p, colour, part);
        s = at + strspn(at, " ");
    }
}

/* ---- the board ---- */

/* Begin a line of the board, or go on with the one that there is: true if there is
 * a line to write to. Without room, what is left is left out. */
static bool ad_top_board_line(struct ad_top_page *p, const char *label, unsigned *lines)
{
    if (*lines == 0 || !ad_top_line(p)) {
        return false;
    }
    --*lines;
    ad_top_label(p, label);
    return true;
}

static void ad_top_board_share(char *out, size_t cap, const char *what, double used,
                               double total)
{
    char a[AD_TOP_CELL], b[AD_TOP_CELL];

    ad_top_bytes(a, used);
    ad_top_bytes(b, total);
    (void)snprintf(out, cap, "%s %s of %s", what, a, b);
}

static const char *ad_top_degrees(const struct ad_top_page *p)
{
    return p->view->utf8 ? "\xC2\xB0" "C" : "C";
}

static void ad_top_board_gpu(struct ad_top_page *p, const struct ad_top_unit *u)
{
    char text[2 * AD_TOP_NAME];

    ad_top_fact(p, AD_TOP_LABEL, NULL, u->name);
    if (!isnan(u->percent)) {
        (void)snprintf(text, sizeof(text), "%.0f %%", u->percent);
        ad_top_fact(p, AD_TOP_LABEL, AD_TOP_BOLD, text);
    }
    if (!isnan(u->clock_mhz)) {
        (void)snprintf(text, sizeof(text), "%.0f MHz", u->clock_mhz);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(u->used) && !isnan(u->total)) {
        ad_top_board_share(text, sizeof(text), "memory", u->used, u->total);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(u->celsius)) {
        (void)snprintf(text, sizeof(text), "%.0f %s", u->celsius, ad_top_degrees(p));
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(u->watts)) {
        (void)snprintf(text, sizeof(text), "%.1f W", u->watts);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
}

static void ad_top_board_first(struct ad_top_page *p, const struct ad_top_board *b)
{
    char text[2 * AD_TOP_NAME];

    if (!isnan(b->cpu)) {
        (void)snprintf(text, sizeof(text), "cpu %.0f %%", b->cpu);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (b->throttling[0] != '\0') {
        (void)snprintf(text, sizeof(text), "slowed down: %s", b->throttling);
        ad_top_fact(p, AD_TOP_LABEL, AD_TOP_RED, text);
    }
    if (b->n_temperatures > 0) {
        (void)snprintf(text, sizeof(text), "%.1f %s", b->temperatures[0].celsius,
                       ad_top_degrees(p));
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(b->watts)) {
        (void)snprintf(text, sizeof(text), "%.1f W", b->watts);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(b->memory_total) && !isnan(b->memory_free)) {
        ad_top_board_share(text, sizeof(text), "memory",
                           b->memory_total - b->memory_free, b->memory_total);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (b->swap_used > 0) {
        ad_top_board_share(text, sizeof(text), "swap", b->swap_used, b->swap_total);
        ad_top_fact(p, AD_TOP_LABEL, AD_TOP_YELLOW, text);
    }
    if (!isnan(b->clock_mhz)) {
        (void)snprintf(text, sizeof(text), "%.0f MHz", b->clock_mhz);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (b->iowait >= 1) {
        (void)snprintf(text, sizeof(text), "waits for the disk %.0f %%", b->iowait);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
}

static void ad_top_board_rest(struct ad_top_page *p, const struct ad_top_board *b)
{
    char text[2 * AD_TOP_NAME], in[AD_TOP_CELL], out[AD_TOP_CELL];
    unsigned i;

    if (!isnan(b->disk_free)) {
        ad_top_bytes(in, b->disk_free);
        (void)snprintf(text, sizeof(text), "disk free %s", in);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    if (!isnan(b->received) && !isnan(b->sent)) {
        ad_top_bytes(in, b->received);
        ad_top_bytes(out, b->sent);
        (void)snprintf(text, sizeof(text), "network in %s/s out %s/s", in, out);
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    for (i = 0; i < b->n_fans; i++) {
        const struct ad_top_unit *fan = &b->fans[i];

        if (isnan(fan->rpm)) {
            (void)snprintf(text, sizeof(text), "fan %.0f %%", fan->percent);
        } else {
            (void)snprintf(text, sizeof(text), "fan %.0f rpm", fan->rpm);
        }
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
    for (i = 1; i < b->n_temperatures; i++) {
        (void)snprintf(text, sizeof(text), "%s %.1f %s", b->temperatures[i].name,
                       b->temperatures[i].celsius, ad_top_degrees(p));
        ad_top_fact(p, AD_TOP_LABEL, NULL, text);
    }
}

/* What the board has, over at most `lines` lines. */
static void ad_top_put_board(struct ad_top_page *p, const struct ad_top_board *b,
                             unsigned lines)
{
    unsigned i;

    if (b->json_len == 0 || !ad_top_board_line(p, "board", &lines)) {
        return;
    }
    ad_top_board_first(p, b);
    for (i = 0; i < b->n_gpus; i++) {
        if (ad_top_board_line(p, "gpu", &lines)) {
            ad_top_board_gpu(p, &b->gpus[i]);
        }
    }
    for (i = 0; i < b->n_npus; i++) {
        if (ad_top_board_line(p, "npu", &lines)) {
            ad_top_board_gpu(p, &b->npus[i]);
        }
    }
    if (ad_top_board_line(p, "", &lines)) {
        ad_top_board_rest(p, b);
    }
}

/* ---- requests ---- */

/* The columns of the table, from the left: how wide, and from which width of the
 * screen on there is one. The model's column takes what is left. */
enum { AD_TOP_ID, AD_TOP_MODEL, AD_TOP_CLIENT, AD_TOP_STATUS, AD_TOP_TOKENS_OUT, AD_TOP_TTFT,
       AD_TOP_RATE, AD_TOP_CONTEXT, AD_TOP_CELLS };
static const struct {
    const char *title;
    unsigned width, from;
    bool right;
} ad_top_table[AD_TOP_CELLS] = {{"id", 6, 60, true},       {"model", 0, 0, false},
                                {"client", 16, 100, false}, {"status", 9, 40, false},
                                {"tokens", 7, 0, true},     {"TTFT", 8, 56, true},
                                {"tok/s", 7, 0, true},      {"context", 12, 76, true}};

/* One line of it; cells[] has its texts. */
static void ad_top_row(struct ad_top_page *p, const char *const cells[AD_TOP_CELLS],
                       const char *colour)
{
    unsigned i, taken = 0, at = 0;

    if (!ad_top_line(p)) {
        return;
    }
    for (i = 0; i < AD_TOP_CELLS; i++) {
        if (p->view->columns >= ad_top_table[i].from && i != AD_TOP_MODEL) {
            taken += ad_top_table[i].width + 1;
        }
    }
    if (p->view->colours && colour != NULL) {
        ad_putf(p->out, "\033[%sm", colour);
    }
    for (i = 0; i < AD_TOP_CELLS; i++) {
        unsigned width = ad_top_table[i].width, n;

        if (p->view->columns < ad_top_table[i].from) {
            continue;
        }
        if (i == AD_TOP_MODEL) {
            width = p->view->columns > taken ? p->view->columns - taken : 0;
        }
        n = ad_top_columns(cells[i], p->view->utf8);
        if (n > 0) {
            ad_top_goto(p, ad_top_table[i].right && n < width ? at + width - n : at);
            ad_top_put_to(p, cells[i], at + width);
        }
        at += width + 1;
    }
    if (p->view->colours && colour != NULL) {
        ad_puts(p->out, "\033[m");
    }
}

static void ad_top_request_row(struct ad_top_page *p, const struct ad_top_request *r,
                               bool runs)
{
    char id[AD_TOP_CELL], tokens[AD_TOP_CELL], ttft[AD_TOP_CELL], rate[AD_TOP_CELL];
    char context[2 * AD_TOP_CELL], of[AD_TOP_CELL], status[AD_TOP_CELL];
    const char *cells[AD_TOP_CELLS] = {id,     r->model, r->client, status,
                                       tokens, ttft,     rate,      context};

    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
    (void)snprintf(status, sizeof(status), "%s", r->status);
    if (r->place > 0) {
        (void)snprintf(status, sizeof(status), "line %.0f", r->place);
    } else if (runs && r->prefill >= 0 && r->prefill < 1 && isnan(r->ttft_ms)) {
        (void)snprintf(status, sizeof(status), "reads %.0f%%", 100 * r->prefill);
    }
    ad_top_count(tokens, r->tokens);
    if (r->estimated && tokens[0] != '\0') {
        char count[AD_TOP_CELL];

        memcpy(count, tokens, sizeof(count));
        (void)snprintf(tokens, sizeof(tokens), "~%.20s", count);
    }
    ad_top_time(ttft, r->ttft_ms);
    ad_top_speed(rate, r->rate);
    ad_top_count(context, r->context);
    ad_top_count(of, r->context_length);
    if (context[0] != '\0' && of[0] != '\0') {
        size_t n = strlen(context);

        (void)snprintf(context + n, sizeof(context) - n, "/%s", of);
    }
    ad_top_row(p, cells,
               runs ? AD_TOP_GREEN
               : strcmp(r->status, "failed") == 0 || strcmp(r->status, "cut") == 0
                   ? AD_TOP_RED
                   : NULL);
}

/* Those that run, then those that ended, the newest first, over `rows` lines. */
static void ad_top_put_requests(struct ad_top_page *p, const struct ad_top_state *s,
                                unsigned rows)
{
    const char *titles[AD_TOP_CELLS];
    unsigned i;

    if (rows < 2 || s->n_running + s->n_ended == 0) {
        return;
    }
    for (i = 0; i < AD_TOP_CELLS; i++) {
        titles[i] = ad_top_table[i].title;
    }
    ad_top_row(p, titles, AD_TOP_DIM);
    rows--;
    for (i = s->n_running; i-- > 0 && rows > 0; rows--) {
        ad_top_request_row(p, &s->running[i], true);
    }
    for (i = s->n_ended; i-- > 0 && rows > 0; rows--) {
        ad_top_request_row(p, &s->ended[i], false);
    }
}

/* ---- the screen ---- */

/* Write the screen to *out, which has AD_TOP_SCREEN_MAX bytes: its lines with a \n
 * between two of them. */
static AD_COLD void ad_top_screen(struct ad_text *out, const struct ad_top_state *s,
                          const struct ad_top_view *v)
{
    struct ad_top_page p = {v, out, 0, 0};
    double server_s = v->now_s + s->offset_s;
    unsigned board = v->rows < 12 ? 1 : v->rows < 20 ? 2 : v->rows < 40 ? 4 : 8;
    unsigned remarks = v->rows < 12 ? 1 : v->rows < 40 ? 3 : AD_TOP_REMARKS, i, left;
    bool notice = v->notice[0] != '\0' && v->rows >= 2;

    ad_top_title(&p, s, server_s);
    ad_top_model_line(&p, s);
    ad_top_rates(&p, s, server_s);
    for (i = s->verdicts.n, left = remarks; i-- > 0 && left > 0; left--) {
        ad_top_sentence(&p, AD_TOP_YELLOW, s->verdicts.list[i].text, v->rows < 20 ? 1 : 2);
    }
    for (i = s->alerts.n, left = remarks; i-- > 0 && left > 0; left--) {
        char text[AD_TOP_SENTENCE + 8];

        (void)snprintf(text, sizeof(text), "alert: %s", s->alerts.list[i].text);
        ad_top_sentence(&p, AD_TOP_RED, text, v->rows < 20 ? 1 : 2);
    }
    ad_top_put_board(&p, &s->board, board);
    if (v->rows >= 20 && p.row + 4 < v->rows) {
        (void)ad_top_line(&p);
    }
    ad_top_put_requests(&p, s, p.row + notice < v->rows ? v->rows - p.row - notice : 0);
    if (notice) {
        while (p.row + 1 < v->rows && ad_top_line(&p)) {
        }
        if (p.row >= v->rows || !ad_top_line(&p)) {
            return;
        }
        ad_top_paint(&p, s->connected ? AD_TOP_DIM : AD_TOP_RED, v->notice);
    }
}

/* ---- JSON ---- */

/* A member with a number; null for NaN. */
static void ad_top_put_number(struct ad_text *t, const char *name, double value)
{
    ad_puts(t, ",\"");
    ad_puts(t, name);
    ad_puts(t, "\":");
    if (isfinite(value)) {
        ad_put_double(t, value);
    } else {
        ad_puts(t, "null");
    }
}

/* A member with a text; null for "". */
static void ad_top_put_text(struct ad_text *t, const char *name, const char *value)
{
    ad_puts(t, ",\"");
    ad_puts(t, name);
    ad_puts(t, "\":");
    if (value[0] != '\0') {
        ad_put_string(t, value);
    } else {
        ad_puts(t, "null");
    }
}

static void ad_top_put_list(struct ad_text *t, const char *name,
                            const struct ad_top_request *list, unsigned n)
{
    unsigned i;

    ad_puts(t, ",\"");
    ad_puts(t, name);
    ad_puts(t, "\":[");
    for (i = 0; i < n; i++) {
        const struct ad_top_request *r = &list[i];

        ad_puts(t, i > 0 ? ",{\"id\":" : "{\"id\":");
        ad_put_u64(t, r->id);
        ad_top_put_text(t, "status", r->status);
        ad_top_put_text(t, "model", r->model);
        ad_top_put_text(t, "client", r->client);
        ad_top_put_text(t, "route", r->route);
        ad_top_put_number(t, "timestamp", r->began_s);
        ad_top_put_number(t, "completion_tokens", r->tokens);
        ad_top_put_number(t, "ttft_ms", r->ttft_ms);
        ad_top_put_number(t, "tokens_per_second", r->rate);
        ad_top_put_number(t, "context_tokens", r->context);
        ad_top_put_number(t, "context_length", r->context_length);
        ad_top_put_number(t, "duration_ms", r->duration_ms);
        ad_puts(t, "}");
    }
    ad_puts(t, "]");
}

static void ad_top_put_remarks(struct ad_text *t, const char *name,
                               const struct ad_top_remarks *list)
{
    unsigned i;

    ad_puts(t, ",\"");
    ad_puts(t, name);
    ad_puts(t, "\":[");
    for (i = 0; i < list->n; i++) {
        ad_puts(t, i > 0 ? "," : "");
        ad_put_string(t, list->list[i].text);
    }
    ad_puts(t, "]");
}

/* JSON text as it came, but with escapes for what ad_top_shows() does not show:
 * that can only be in its strings. */
static void ad_top_put_raw(struct ad_text *t, const char *json, size_t len)
{
    const char *end = json + len;

    while (json < end) {
        const char *at = json;
        unsigned long c = ad_top_character(&json);

        if (ad_top_shows(c)) {
            ad_put(t, at, (size_t)(json - at));
        } else if (c < 0x10000 && c >= 0x7F) {
            ad_putf(t, "\\u%04lx", c);
        } else if (c >= 0x10000) {
            ad_putf(t, "\\u%04lx\\u%04lx", 0xD800 + ((c - 0x10000) >> 10),
                    0xDC00 + ((c - 0x10000) & 0x3FF));
        } /* a blank, tab or line's end between two values: out */
    }
}

/* The state as one JSON object and a \n, for scripts. */
static AD_COLD void ad_top_json_of(struct ad_text *t, const struct ad_top_state *s,
                           const char *place, double now_s)
{
    double server_s = now_s + s->offset_s, p50, p95;

    ad_top_percentiles(s, server_s, &p50, &p95);
    ad_puts(t, "{\"time\":");
    ad_put_fixed(t, now_s, 3);
    ad_top_put_text(t, "place", place);
    ad_puts(t, s->connected ? ",\"connected\":true" : ",\"connected\":false");
    ad_top_put_text(t, "version", s->version);
    ad_top_put_text(t, "state", ad_top_word(s, server_s));
    ad_puts(t, s->paused ? ",\"paused\":true" : ",\"paused\":false");
    ad_top_put_text(t, "engine", s->engine);
    ad_top_put_text(t, "model", s->model);
    ad_top_put_number(t, "tokens_generated", s->tokens);
    ad_top_put_number(t, "tokens_per_second", ad_top_rate(s, server_s));
    ad_top_put_number(t, "latency_p50_ms", p50);
    ad_top_put_number(t, "latency_p95_ms", p95);
    ad_top_put_number(t, "viewers", s->viewers);
    ad_top_put_number(t, "queued", s->queued);
    ad_top_put_list(t, "running", s->running, s->n_running);
    ad_top_put_list(t, "requests", s->ended, s->n_ended);
    ad_top_put_remarks(t, "alerts", &s->alerts);
    ad_top_put_remarks(t, "verdicts", &s->verdicts);
    ad_puts(t, ",\"board\":");
    if (s->board.json_len > 0) {
        ad_top_put_raw(t, s->board.json, s->board.json_len);
    } else {
        ad_puts(t, "null");
    }
    ad_puts(t, "}\n");
}

#endif /* AD_TOP */

#endif
