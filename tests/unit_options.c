/* The command line's options: their places, lists, numbers, and words. What they
 * print goes to a file, and is compared. */
#include "../src/app/option_values.c"
#include "check.h"

static struct ad_options options;
static char printed[2048];

/* Run `call` with stderr in a file; its text is in `printed` then. */
#define PRINTING(call) \
    do { \
        FILE *file = tmpfile(); \
        int saved = dup(STDERR_FILENO); \
        size_t n; \
        fflush(stderr); \
        dup2(fileno(file), STDERR_FILENO); \
        call; \
        fflush(stderr); \
        dup2(saved, STDERR_FILENO); \
        close(saved); \
        rewind(file); \
        n = fread(printed, 1, sizeof(printed) - 1, file); \
        printed[n] = '\0'; \
        fclose(file); \
    } while (0)

/* Read a NULL-terminated list of arguments. */
static bool args(const char *const *list)
{
    char *argv[16] = {"aidash"};
    int argc = 1;
    bool ok;

    while (list[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)list[argc - 1];
        argc++;
    }
    memset(&options, 0, sizeof(options));
    PRINTING(ok = ad_options_args(&options, argc, argv));
    return ok;
}
#define ARGS(...) args((const char *const[]){__VA_ARGS__, NULL})

static const char *value(const char *name)
{
    const char *text = ad_option_value(&options, name);

    return text != NULL ? text : "(none)";
}

static void test_args(void)
{
    CHECK(ARGS("--rate", "5", "--seed=7", "--stdin"));
    CHECK_STR(value("rate"), "5");
    CHECK_STR(value("seed"), "7");
    CHECK_STR(value("models"), "(none)");
    CHECK(ad_option_flag(&options, "stdin") && !ad_option_flag(&options, "help"));
    CHECK_STR(printed, "");

    /* The last of a name wins; a list grows. */
    CHECK(ARGS("--rate=5", "--rate", "6", "--models", "a", "--models=b,c"));
    CHECK_STR(value("rate"), "6");
    CHECK_STR(value("models"), "a,b,c");

    /* Only the first = ends the name; the next argument is the value as it is. */
    CHECK(ARGS("--models=a=b", "--udp", "--rate"));
    CHECK_STR(value("models"), "a=b");
    CHECK_STR(value("udp"), "--rate");
    CHECK(ARGS("--rate="));
    CHECK_STR(value("rate"), "");

    CHECK(!ARGS("--rate"));
    CHECK_STR(printed, "aidash: --rate needs a value: HZ\n");
    CHECK(!ARGS("--help=no"));
    CHECK_STR(printed, "aidash: --help takes no value\n");
    CHECK(!ARGS("stray"));
    CHECK_STR(printed, "aidash: 'stray' is not an option; options begin with -- "
                       "(--help lists all)\n");
    CHECK(!ARGS("docter"));
    CHECK(strstr(printed, "the command that is nearest is doctor") != NULL);
    CHECK(ARGS("-h"));
    CHECK(ad_option_flag(&options, "help"));
    CHECK(ARGS("-v"));
    CHECK(ad_option_flag(&options, "version"));
    CHECK(!ARGS("-p"));
    CHECK(ARGS("--port", "1", "--listen=2"));
    CHECK_STR(value("listen"), "1,2");
    CHECK(!ARGS("--"));
    CHECK(!ARGS("--lisen", "8080"));
    CHECK_STR(printed, "aidash: unknown option --lisen; the nearest is --listen "
                       "(--help lists all)\n");
    CHECK(!ARGS("--rates=5"));
    CHECK(strstr(printed, "the nearest is --rate ") != NULL);
}

/* A name of 61 characters fits its buffer, a longer one is no option; a value has
 * 1022 characters, with what a list has already. */
static void test_lengths(void)
{
    char name[100], text[AD_OPTION_CAP + 1];

    memset(name, 'x', sizeof(name));
    memcpy(name, "--", 2);
    name[63] = '\0';
    CHECK(!ARGS(name));
    CHECK(strstr(printed, "unknown option --xxx") != NULL);
    name[63] = 'x';
    name[64] = '\0';
    CHECK(!ARGS(name));
    CHECK(strstr(printed, "is not an option") != NULL);

    memset(text, 'm', sizeof(text));
    text[AD_OPTION_CAP - 2] = '\0';
    CHECK(ARGS("--models", text));
    CHECK_STR(value("models"), text);
    CHECK(!ARGS("--models", text, "--models", "m"));
    text[AD_OPTION_CAP - 2] = 'm';
    text[AD_OPTION_CAP - 1] = '\0';
    CHECK(!ARGS("--models", text));
    CHECK_STR(printed, "aidash: --models: longer than 1022 characters\n");
}

static bool file(const char *text)
{
    char path[] = "/tmp/aidash-unit-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    bool ok;

    fputs(text, f);
    fclose(f);
    memset(&options, 0, sizeof(options));
    PRINTING(ok = ad_options_file(&options, path));
    remove(path);
    return ok;
}

static void test_file(void)
{
    CHECK(file("# comment\n\n \t \n  rate = 7 \r\nmodels=a\n models =\tb , c\n"
               "udp = x # a comment\nstdin = no"));
    CHECK_STR(value("rate"), "7");
    CHECK_STR(value("models"), "a,b , c");
    CHECK_STR(value("udp"), "x");
    CHECK(!ad_option_flag(&options, "stdin"));
    CHECK(strstr(ad_option_written(&options, "rate"), " line 4: rate") != NULL);
    CHECK(file("stdin ="));
    CHECK(ad_option_flag(&options, "stdin"));

    CHECK(!file("rate = 5\nlisten\nrate = 6"));
    CHECK(strstr(printed, " line 2: expected `key = value`\n") != NULL);
    CHECK_STR(value("rate"), "5");
    CHECK(!file("config = other"));
    CHECK(strstr(printed, "a config file can't name another one") != NULL);
    CHECK(!file("rates = 5"));
    CHECK(strstr(printed, " line 1: rates; the nearest is --rate ") != NULL);
    CHECK(!file("= 5"));
    CHECK(!file("version = 0.1.0"));
    CHECK(strstr(printed, " line 1: version: this is for the command line only\n") != NULL);
    CHECK(!file("help ="));
    CHECK(!file("sizes = no"));
    CHECK(!file("rate"));
    CHECK(file("port = 81"));
    CHECK_STR(value("listen"), "81");
    PRINTING(CHECK(!ad_options_file(&options, "/")));
    CHECK_STR(printed, "aidash: --config: can't read /: Is a directory\n");
    PRINTING(CHECK(!ad_options_file(&options, "/nonexistent/aidash.conf")));
    CHECK_STR(printed, "aidash: --config: can't read /nonexistent/aidash.conf: "
                       "No such file or directory\n");
}

/* Comments and quotes, a byte order mark, lines longer than the buffer. */
static void test_file_lines(void)
{
    static char text[4 * AD_OPTION_CAP];
    char models[AD_OPTION_CAP - 1];

    CHECK(file("rate = 7 # ticks\nseed = '5'\nmodels=\"a # b\"# c\nudp = a#b\n"
               "backlog = # 5"));
    CHECK_STR(value("rate"), "7");
    CHECK_STR(value("seed"), "5");
    CHECK_STR(value("models"), "a # b");
    CHECK_STR(value("udp"), "a#b");
    CHECK_STR(value("backlog"), "");
    CHECK(file("models = ' a '\nudp = it's\nrate = \"\""));
    CHECK_STR(value("models"), " a ");
    CHECK_STR(value("udp"), "it's");
    CHECK_STR(value("rate"), "");
    CHECK(!file("seed = 1\nmodels = \"a\nrate = 5"));
    CHECK(strstr(printed, " line 2: models: a value in quotes ends with the same "
                          "quote, ") != NULL);
    CHECK(!file("models = 'a\""));
    CHECK(!file("models = \"a\",\"b\""));

    CHECK(file("\xEF\xBB\xBFrate = 7\nseed = 5"));
    CHECK_STR(value("rate"), "7");
    CHECK(file("\xEF\xBB\xBF# a comment\n"));
    CHECK(!file("rate = 7\n\xEF\xBB\xBFseed = 5"));

    /* The tail of a long comment is no option; a long option is refused. */
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, " # ", 3);
    memcpy(text + sizeof(((struct ad_options *)0)->given[0].value) + 63, "seed = 5",
           8);
    memcpy(text + sizeof(text) - 10, "\nrate = 7", 10);
    CHECK(file(text));
    CHECK_STR(value("rate"), "7");
    CHECK_STR(value("seed"), "(none)");
    memset(text, ' ', sizeof(text) - 10);
    memcpy(text, "seed = 5", 8);
    CHECK(!file(text));
    CHECK(strstr(printed, " line 1: longer than 1087 bytes\n") != NULL);

    /* The longest value fits. */
    memset(models, 'm', sizeof(models) - 1);
    models[sizeof(models) - 1] = '\0';
    (void)snprintf(text, sizeof(text), "models = %s", models);
    CHECK(file(text));
    CHECK_STR(value("models"), models);
}

static bool environment(const char *variable, const char *text)
{
    bool ok;

    setenv(variable, text, 1);
    memset(&options, 0, sizeof(options));
    PRINTING(ok = ad_options_env(&options));
    unsetenv(variable);
    return ok;
}

/* What only prints is no variable; a misspelt one is told. */
static void test_environment(void)
{
    CHECK(environment("AIDASH_VERSION", "0.1.0"));
    CHECK(environment("AIDASH_HELP", "1"));
    CHECK(environment("AIDASH_SIZES", "1"));
    CHECK_STR(printed, "");
    CHECK(!ad_option_flag(&options, "sizes"));
    CHECK(!environment("AIDASH_RAET", "20"));
    CHECK_STR(printed, "aidash: unknown variable AIDASH_RAET; the nearest is "
                       "AIDASH_RATE (--help lists all)\n");
    CHECK(!environment("AIDASH_ALLOW_ORIGINS", "*"));
    CHECK(strstr(printed, "the nearest is AIDASH_ALLOW_ORIGIN ") != NULL);
    CHECK(environment("AIDASH_RAET", ""));
    CHECK_STR(printed, "");
    CHECK(environment("AIDASH_SERVICE_HOST", "10.0.0.1"));
    CHECK_STR(printed, "aidash: AIDASH_SERVICE_HOST is no option, and is ignored "
                       "(--help lists all)\n");
    CHECK(environment("AIDASH_PORT", "tcp://10.0.0.1:80"));
    CHECK_STR(value("listen"), "(none)");
    CHECK(environment("AIDASH_PORT", "81"));
    CHECK_STR(value("listen"), "81");
    CHECK(environment("AIDASHRATE", "5"));
    CHECK_STR(printed, "");
}

/* The environment over the file, the arguments over both; a list of one place
 * replaces that of another. */
static void test_places(void)
{
    char *argv[] = {"aidash", "--models", "c", "--models", "d"};

    CHECK(file("models = a\nrate = 1\nseed = 1\nudp = 1"));
    setenv("AIDASH_MODELS", "b", 1);
    setenv("AIDASH_RATE", "2", 1);
    setenv("AIDASH_PER_ADDRESS", "3", 1);
    setenv("AIDASH_UDP", "", 1); /* as if it were not there */
    CHECK(ad_options_env(&options));
    CHECK_STR(value("models"), "b");
    CHECK_STR(value("rate"), "2");
    CHECK_STR(ad_option_written(&options, "rate"), "AIDASH_RATE");
    CHECK_STR(value("per-address"), "3");
    CHECK_STR(value("seed"), "1");
    CHECK_STR(value("udp"), "1");
    CHECK(ad_options_args(&options, (int)AD_COUNT(argv), argv));
    CHECK_STR(value("models"), "c,d");
    CHECK_STR(ad_option_written(&options, "models"), "--models");
    unsetenv("AIDASH_MODELS");
    unsetenv("AIDASH_RATE");
    unsetenv("AIDASH_PER_ADDRESS");
    unsetenv("AIDASH_UDP");
}

static void test_numbers(void)
{
    static const char *const not_whole[] = {"", " ", "x", "-1", "+1", "1.5",
                                            "1e3", "0x10", " 5", "5 ", "nan",
                                            "0", "65536",
                                            "18446744073709551617"};
    static const char *const not_number[] = {"", "x", "5hz", "nan", "inf",
                                             "1e999", "-1", "0", "10000.1"};
    uint64_t whole = 42;
    double number = 42;
    bool ok;
    size_t i;

    CHECK(ARGS("--stdin"));
    CHECK(ad_option_whole(&options, "seed", 1, 9, &whole) && whole == 42);
    CHECK(ad_option_number(&options, "rate", 1, 9, &number) && number == 42);
    for (i = 0; i < AD_COUNT(not_whole); i++) {
        CHECK(ARGS("--seed", not_whole[i]));
        PRINTING(ok = ad_option_whole(&options, "seed", 1, 65535, &whole));
        CHECK(!ok && whole == 42);
    }
    CHECK_STR(printed, "aidash: --seed: '18446744073709551617' is not a whole "
                       "number from 1 to 65535\n");
    for (i = 0; i < AD_COUNT(not_number); i++) {
        CHECK(ARGS("--rate", not_number[i]));
        PRINTING(ok = ad_option_number(&options, "rate", 0.001, 10000, &number));
        CHECK(!ok && number == 42);
    }
    CHECK_STR(printed,
              "aidash: --rate: '10000.1' is not a number from 0.001 to 10000\n");
    CHECK(ARGS("--seed", "65535", "--rate", "0.001"));
    CHECK(ad_option_whole(&options, "seed", 1, 65535, &whole) && whole == 65535);
    CHECK(ad_option_number(&options, "rate", 0.001, 1, &number) &&
          number == 0.001);
}

static const char *source(void)
{
    const char *name = NULL;
    bool ok;

    PRINTING(ok = ad_option_source(&options, &name));
    CHECK(ok == (name != NULL));
    return name != NULL ? name : "(wrong)";
}

static void test_words(void)
{
    enum aidash_log_level level = AIDASH_LOG_DEFAULT;
    bool ok;

    CHECK(ARGS("--rate=1"));
    CHECK_STR(source(), "sim");
    CHECK(ARGS("--source", "stdin", "--stdin"));
    CHECK_STR(source(), "stdin");
    CHECK(ARGS("--source=none"));
    CHECK_STR(source(), "none");
    CHECK(ARGS("--source=none", "--stdin"));
    CHECK_STR(source(), "(wrong)");
    CHECK_STR(printed, "aidash: --stdin: it contradicts --source none\n");
    CHECK(ARGS("--source=simm"));
    CHECK_STR(source(), "(wrong)");
    CHECK_STR(printed, "aidash: --source: 'simm' must be sim, stdin or none; the "
                       "nearest is sim\n");
#if AIDASH_METER
    CHECK(ARGS("--upstream=http://a"));
    CHECK_STR(source(), "none");
    CHECK(ARGS("--scrape=http://a", "--stdin"));
    CHECK_STR(source(), "stdin");
#endif
    CHECK(ad_option_level(&options, &level) && level == AIDASH_LOG_DEFAULT);
    CHECK(ARGS("--log-level=debug"));
    CHECK(ad_option_level(&options, &level) && level == AIDASH_LOG_DEBUG);
    CHECK(ARGS("--log-level=wran"));
    PRINTING(ok = ad_option_level(&options, &level));
    CHECK(!ok && level == AIDASH_LOG_DEBUG);
    CHECK(strstr(printed, "the nearest is warn\n") != NULL);
    CHECK(ARGS("--log-level="));
    PRINTING(ok = ad_option_level(&options, &level));
    CHECK(!ok);
}

static void test_distance(void)
{
    char longest[100];

    CHECK_EQ(ad_distance("", ""), 0);
    CHECK_EQ(ad_distance("abc", ""), 3);
    CHECK_EQ(ad_distance("", "abc"), 3);
    CHECK_EQ(ad_distance("kitten", "sitting"), 3);
    CHECK_EQ(ad_distance("rate", "arte"), 1);
    CHECK_EQ(ad_distance("raet", "rate"), 1);
    CHECK_EQ(ad_distance("ca", "abc"), 3);
    memset(longest, 'a', sizeof(longest));
    longest[63] = '\0';
    CHECK_EQ(ad_distance("", longest), 63);
    longest[63] = 'a';
    longest[64] = '\0';
    CHECK_EQ(ad_distance("", longest), UINT32_MAX); /* its row is too short */
}

/* A program's own options beside aidash's. It is the last test: they stay. */
static void test_addon(void)
{
    static const struct aidash_option own[] = {
        {"broker", "URL", "the broker", 0},
        {"node", "NAME", "a board", 1},
        {"publish", "", "send", 0},
        {NULL, NULL, NULL, 0},
    };
    static const struct aidash_option twice[] = {
        {"listen", "URL", "aidash's own", 0}, {NULL, NULL, NULL, 0}};
    static struct aidash_option many[AIDASH_ADDON_OPTIONS + 2];
    static char names[AIDASH_ADDON_OPTIONS + 1][8];
    static const struct aidash_addon addon = {.program = "my-board", .options = own},
                                     bad = {.program = "bad", .options = twice},
                                     full = {.program = "full", .options = many};
    const char *name = "none";
    bool ok;
    size_t i;

    CHECK(!ARGS("--broker=a"));
    CHECK_STR(ad_program(), "aidash");

    for (i = 0; i <= AIDASH_ADDON_OPTIONS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "own-%zu", i);
        many[i].name = names[i];
        many[i].value = many[i].help = "X";
    }
    PRINTING(ok = ad_addon_take(&full)); /* one more than there is room for */
    CHECK(!ok && strstr(printed, "AIDASH_ADDON_OPTIONS") != NULL);
    CHECK(ARGS("--own-15=x")); /* the last one that has room */
    CHECK_STR(value("own-15"), "x");
    CHECK(!ARGS("--own-16=x"));
    memset(&ad_addon, 0, sizeof(ad_addon));
    PRINTING(ok = ad_addon_take(&bad));
    CHECK(!ok);
    CHECK_STR(printed, "listen: there is an option of this name already\n");
    memset(&ad_addon, 0, sizeof(ad_addon));

    CHECK(ad_addon_take(&addon));
    CHECK_STR(ad_program(), "my-board");
    CHECK(ARGS("--broker=a", "--node=x", "--rate", "7", "--node", "y", "--publish"));
    CHECK_STR(value("broker"), "a");
    CHECK_STR(value("node"), "x,y");
    CHECK_STR(value("rate"), "7");
    CHECK(ad_option_flag(&options, "publish"));
    CHECK(!ARGS("--publish=1"));
    CHECK(!ARGS("--brokr=a"));
    CHECK_STR(printed, "aidash: unknown option --brokr; the nearest is --broker (--help "
                       "lists all)\n");
    CHECK(ARGS("--rate=1"));
    CHECK(ad_option_source(&options, &name)); /* the program's default */
    CHECK_STR(name, "none");
    CHECK(ARGS("--source=sim"));
    CHECK(ad_option_source(&options, &name));
    CHECK_STR(name, "sim");
}

int main(void)
{
    test_args();
    test_lengths();
    test_file();
    test_file_lines();
    test_environment();
    test_places();
    test_numbers();
    test_words();
    test_distance();
    test_addon();
    return check_report();
}
