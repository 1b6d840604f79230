/* fuzz_replay.c - runs a fuzzer's entry point over files, without a fuzzer.
 *
 * usage: PROGRAM FILE_OR_DIRECTORY...
 *
 * A file passes by not ending the program: the sanitizers do that. Each is
 * named before it runs, so that the last name printed is the one at fault.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned passed;

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    uint8_t *data;
    size_t size;

    if (file == NULL || fstat(fileno(file), &info) != 0) {
        perror(path);
        return 1;
    }
    size = (size_t)info.st_size;
    data = malloc(size > 0 ? size : 1); /* exactly: one byte too far is seen */
    if (data == NULL || fread(data, 1, size, file) != size) {
        perror(path);
        return 1;
    }
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    passed++;
    return 0;
}

static int replay_all(const char *directory)
{
    DIR *dir = opendir(directory);
    char path[4096];
    int failed = 0;

    if (dir == NULL) {
        perror(directory);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            failed |= replay(path);
        }
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    struct stat info;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            failed |= replay_all(argv[i]);
        } else {
            failed |= replay(argv[i]);
        }
    }
    printf("%u passed, %d failed\n", passed, failed);
    return failed;
}
