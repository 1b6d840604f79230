/* homeassistant.h - how Home Assistant finds a board that aidash-mqtt publishes.
 *
 * One message that describes the board as a device with its sensors, buttons and a
 * select: "Device discovery payload" of https://www.home-assistant.io/integrations/mqtt/.
 * Pure but for the models and the count of tokens: no socket, no clock. One thread.
 */
#ifndef HOMEASSISTANT_H
#define HOMEASSISTANT_H

#include <stddef.h>
#include <stdint.h>

struct homeassistant {
    const char *prefix;  /* of all topics of the board: aidash/NODE */
    const char *node;    /* the board's name */
    const char *url;     /* of its dashboard */
    int control;         /* 1: buttons and the select of the model, too */
    int removed;         /* 1: say that those are gone, for who knows them from before */
};

/* What Home Assistant's discovery topic calls the board: its name, in which all but
 * letters, digits and - is written as _XX (hexadecimal), as the documentation allows no
 * more. out has room for 3 * AIDASH_NODE_MAX + 1. */
void homeassistant_id(char *out, const char *node);

/* Keep the models of a status, a JSON text: the choice that the next message offers.
 * Returns 1 if they are others than before. */
int homeassistant_models(const char *status);

/* Write the message as JSON with a NUL at its end. Returns its length; 0: no room. */
size_t homeassistant_config(char *out, size_t size, const struct homeassistant *board);

/* A tick as its JSON text: returns the tokens of all models since the program started.
 * A tick counts those of its own model, from the server's start or another one: a number
 * that falls when the model changes would be taken for a new meter. */
uint64_t homeassistant_tokens(const char *tick);

#endif
