/* calls.c - what the posts of other threads do. Hub thread only. Owns nothing.
 */
#ifndef AD_APP_CALLS_C
#define AD_APP_CALLS_C

#include "../core/commands.c"
#include "../core/notes.c"
#include "../core/posts.c"

/* The engine's side says how it is. The meter and the scrape know themselves
 * whether their engines answer. */
static void ad_post_state(const struct ad_post *post)
{
    static const uint8_t words[] = {
        [AIDASH_STATE_RUNNING] = AD_WORD_UP, [AIDASH_STATE_PAUSED] = AD_WORD_UP,
        [AIDASH_STATE_LOADING] = AD_WORD_LOADING, [AIDASH_STATE_DOWN] = AD_WORD_DOWN};
    bool theirs = ad_sources.source == AD_SOURCE_METER ||
                  ad_sources.source == AD_SOURCE_SCRAPE;

    ad_engine_say(post->code == AIDASH_STATE_PAUSED,
                  theirs ? AD_WORD_NONE : words[post->code], post->text);
}

/* All that have come, each turn, until a fan-out is due. */
static void ad_posts_run(void)
{
    struct ad_post post;

    while (!ad_events_due() && ad_posts_pop(&post)) {
        switch ((enum ad_post_kind)post.kind) {
        case AD_POST_NOTE:
            ad_note_add(post.code, post.text);
            break;
        case AD_POST_STATE:
            ad_post_state(&post);
            break;
        case AD_POST_FINISH:
            ad_command_finish(post.id, post.code != 0, post.text);
            break;
        }
    }
}

#endif
