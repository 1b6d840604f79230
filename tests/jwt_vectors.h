/* jwt_vectors.h - signed tokens and public keys: those of RFC 7515, appendix A, and
 * others that OpenSSL made. */
#ifndef JWT_VECTORS_H
#define JWT_VECTORS_H

/* RFC 7515 A.1.1: the claims of A.1, A.2 and A.3. */
#define CLAIMS \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" \
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

/* RFC 7515 A.1. */
static const char a1_key[] =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"
    "PS4hcgUuTwjAzZr1Z9CAow";
static const char a1[] =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/* RFC 7515 A.2. */
#define A2_N \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp" \
    "-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW" \
    "vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs" \
    "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k" \
    "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2" \
    "PAcDTW9gb54h4FRWyuXpoQ"
static const char a2[] =
    "eyJhbGciOiJSUzI1NiJ9." CLAIMS "."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
    "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
    "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
    "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
    "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
    "p0igcN_IoypGlUPQGe77Rw";

/* RFC 7515 A.3. */
#define A3_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
static const char a3[] =
    "eyJhbGciOiJFUzI1NiJ9." CLAIMS "."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
    "pmWQxfKTUJqPP3-Kg6NU1Q";

/* The keys of A.2 and A.3 by OpenSSL, and others that it made. */
static const char a2_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"
    "oQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char a2_pkcs1[] =
    "-----BEGIN RSA PUBLIC KEY-----\n"
    "MIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W2\n"
    "6mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMs\n"
    "D1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5\n"
    "z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv\n"
    "b3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2et\n"
    "hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB\n"
    "-----END RSA PUBLIC KEY-----\n";
static const char a3_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char rsa_1024[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCjEjjDM1k1uFake12pE2gjGAb\n"
    "u+ZqVJGadZcZPzRF/1igRhXT/CUc1LG5vuDhfwWAo59pOkEKnnI0F6J1wfF6A5GC\n"
    "bq/qk/T8kFPA92hk5+MNfF5einlbY9sdrYidtMkbnbhPbiJYSxQkA0HRMhrgszAU\n"
    "2JL8dplfFltM6oweMQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char rsa_e_3[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIDANBgkqhkiG9w0BAQEFAAOCAQ0AMIIBCAKCAQEAvfBXvARDqPNYjzagXBO1\n"
    "y+lXRZR3bh9PCCdEA/h/WYtUlcFuemn7G2Y7uAZEI+t5qPMmKaDkDtY4svO9zMFy\n"
    "9DJmQXAFF553fH9Gwpa9DqIVTitYN/4JyXxcGKvluXiX76nwQeR2b5kkb7ZizNYi\n"
    "FCLBNiV0xOfpa5mTysVPHRpxPYSZjqvs1yqEYNtQtI8o8Yg2larZ7/wl+wQ4D4Qj\n"
    "wkJGhLYkbOm9tC7OjiqcSZh/+hBeAQE+mVr5qI7s8sIu7Gh1de8+RrubylKcdvsK\n"
    "FZw2qyBHxmhBW8a6n7xOojV6BCSv1E4oDmqo5qkfOCuHIpyBhlhGPNMkIFp/NXwm\n"
    "1QIBAw==\n"
    "-----END PUBLIC KEY-----\n";
static const char p384[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE3Jiv69C4oR4qMBxcBPQAnb5BTqYzyQI2\n"
    "5hnyA1bUzB3PdUvMaCuVWh2WnTvD/Q2/DeFEUquQ3gEegUoW8mdzNP4hWvxdJFqE\n"
    "hLO6RLJKx/tJVbIARF4QalMB+LXISmGu\n"
    "-----END PUBLIC KEY-----\n";
static const char ed25519[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAAc3StOzL3x7hTl/ByuOknmgtHVhKyxZZriYYkfFcx8A=\n"
    "-----END PUBLIC KEY-----\n";
static const char private_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49\n"
    "-----END PRIVATE KEY-----\n";
static const char rsa_4096[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEAsGtR/0eX5d+shR3Y7l94\n"
    "v9yK91n2eEpgR2R+YrHIdpMrq29giXAoXlf5yhFKSAtJZASB4wVwNz4rbXGFItyh\n"
    "AwTGfGeY0UEZjXk9ooOrBE68T5tHuTu6U9D4MPRRikpz3f7l6drKwGVjSsubAkA0\n"
    "+EjFvOWrbGavUdE+49xR/k0+MSnni4kV+ttKBCcoOWAsBeCC580Nt98VrEDA6yrt\n"
    "ZYemGcjxTFZzk1ZU22gg1gbkEp7WhRiC8I+SdYcgtBb7BXkoNXDLfR9EqIl8lhez\n"
    "I8D1KRN9W0pALMvykguPdCVDhKUeWoUZLmVVw54U7xxapNHG0QsrSblPkWkiJgqP\n"
    "J2CigS4OJvP1Oh2kzOaE/6389Xan9Y8iTYPgTPjah0JVnHIQ8YAnJmm+KgdTt+6v\n"
    "VKR2OHlHS2SGSpUgDAcs/4V1lYuk9+f2FjiVg5wFM+RWWCzFcyNpaeAH0l4rX2Gg\n"
    "HP17oNOM/fyjznBKXabNBeolLdZf4QzM0hi2t81UWaQ0eDXgFNrkSR/njk/9OhWW\n"
    "GzeG3qtzb/eFVWGEIyAv3y/xGBnEMs6vfzgCNvSJXIwXWo14LK2eE70sJh3YaTvE\n"
    "Adhlnq57898B5QYW3gM7xVWL0az/GoJe6F31jsae6wtw8MnBOxZP72ZQLd2b7Qht\n"
    "XuPErW/28EmvdhUnEzIzWG0CAwEAAQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char token_4096[] =
    "eyJhbGciOiJSUzI1NiJ9." CLAIMS "."
    "qmO77--iBTS_TPr6jC0lh2pPYMXVP8a05urTgV2f0NQcsxOgvKiHiBAcJ4mhZCCC"
    "7UgzTBG333WCQs-cKIxFNitRZqvM5UW6XwSH6_ieo0nz3e0iMlTnc0lZy1mIVWdx"
    "9Ybom3iqrzZHEYfW_LxFxzFS9xxkHt1jyGl3fX0gHuTrAotPVNLn7oRz7rqwbaeu"
    "ssAGNFIdXXlGxL_ue56LUHRkUGGPe4msdMmQQN8tLGAA2u-uiPb042Wc_tGT4NT3"
    "eFfUiiOuj_5JhZ8b44-dYsqvJXfCgt9COYCiHkhJSLR4-SR5Jmy-EbzUZf5c8IjM"
    "W2YorZCHPjvi1imZ7eYQNUBbxAgunIwIUEj9Z-PiWqGzl9sKQfMYjiiuMDcCi1kw"
    "ThvS7TgTCbxMTNC_S70m8_-NR1RUg1v57bTOJ4kvh9Iu-GLoleYWamP7HSR6ymvZ"
    "DAF840lGn7xL071fHsy9p2JGvDolguxA4Yb-C0o6BRpFjMqZ_i4RYGig0PWHeKR6"
    "QkCYfmG3WuB1pUNotkEnhzwXHd6ourBiev5Yog7wgMLw-uqiv14j6MMeDI1DBv7S"
    "farp_E3DqKbuGI1YufjrqVDs67cBkW7Ok_DwMouYXcvOLwqbnjBv8J2Az-0O6uSn"
    "xsFi0v5CvG_hR06pT3vkxuUUVekACn4bIdvSBnHT8dw";

/* The keys of A.2 and A.3 as JWKs, without the braces around them. */
#define A2_JWK "\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\""
#define A3_JWK "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\""

#endif
