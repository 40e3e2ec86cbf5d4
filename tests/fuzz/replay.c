/* Feeds inputs to a fuzz target without a fuzzer.
 *
 *   fuzz_NAME [--more N] [--streams N] FILE|DIRECTORY...
 *
 * Each file is one input. --more: then N inputs made from them by small changes; --streams: N of random
 * bytes. Both are the same in every run; the number that is printed when one fails makes it again.
 */
#include "fuzz.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <sys/stat.h>

#define INPUTS_MAX 4096
#define INPUT_MAX  (1 << 20)
#define STREAM_MAX 3000

struct input {
    uint8_t *data;
    size_t size;
};

static struct input inputs[INPUTS_MAX];
static size_t ninputs;

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
    return n == 0 ? 0 : (size_t)(next_random(state) % n);
}

static void read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    FUZZ_CHECK(f != NULL && data != NULL && ninputs < INPUTS_MAX, "%s", path);
    size_t size = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    uint8_t *exact = realloc(data, size > 0 ? size : 1);
    FUZZ_CHECK(exact != NULL, "no memory");
    inputs[ninputs++] = (struct input){exact, size};
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void read_path(const char *path)
{
    struct stat st;
    struct dirent **names;
    FUZZ_CHECK(stat(path, &st) == 0, "%s", path);
    if (!S_ISDIR(st.st_mode)) {
        read_file(path);
        return;
    }
    int n = scandir(path, &names, not_hidden, alphasort);
    FUZZ_CHECK(n > 0, "%s holds no inputs", path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        read_file(file);
        free(names[i]);
    }
    free(names);
}

/* A copy of one input with a byte changed, a piece cut, doubled or replaced by one of another. */
static struct input changed(uint64_t *state)
{
    static const char marks[] = "{}[]\"':,#&*!|>-?%@\n\r\t 0189\\\xff\xc3";
    const struct input *from = &inputs[below(state, ninputs)], *other = &inputs[below(state, ninputs)];
    uint8_t *data = malloc(2 * from->size + other->size + 16);
    size_t size = from->size;
    FUZZ_CHECK(data != NULL, "no memory");
    memcpy(data, from->data, size);
    for (size_t i = below(state, 4) + 1; i > 0; i--) {
        size_t at = below(state, size), len = below(state, size - at), start = below(state, other->size);
        switch (below(state, 5)) {
        case 0: /* a byte */
            if (size > 0)
                data[at] = (uint8_t)next_random(state);
            break;
        case 1: /* a mark of the languages that are read */
            if (size > 0)
                data[at] = (uint8_t)marks[below(state, sizeof marks - 1)];
            break;
        case 2: /* a piece less */
            memmove(data + at, data + at + len, size - at - len);
            size -= len;
            break;
        case 3: /* the end is cut */
            size = at;
            break;
        default: /* the end is another's */
            if (at + other->size - start <= from->size + other->size) {
                memcpy(data + at, other->data + start, other->size - start);
                size = at + other->size - start;
            }
        }
    }
    return (struct input){data, size};
}

static void run(const struct input *i)
{
    uint8_t *exact = malloc(i->size > 0 ? i->size : 1);
    FUZZ_CHECK(exact != NULL, "no memory");
    if (i->size > 0)
        memcpy(exact, i->data, i->size);
    LLVMFuzzerTestOneInput(exact, i->size);
    free(exact);
}

static const char *what = "the inputs";
static long number;

static void run_changed(long n)
{
    for (number = 1, what = "changed input"; number <= n && ninputs > 0; number++) {
        uint64_t state = (uint64_t)number;
        struct input i = changed(&state);
        run(&i);
        free(i.data);
    }
}

static void run_streams(long n)
{
    for (number = 1, what = "random stream"; number <= n; number++) {
        uint64_t state = (uint64_t)number << 32;
        uint8_t data[STREAM_MAX];
        size_t size = below(&state, STREAM_MAX);
        for (size_t k = 0; k < size; k++)
            data[k] = (uint8_t)next_random(&state);
        run(&(struct input){data, size});
    }
}

static void tell(int sig)
{
    fprintf(stderr, "%s %ld\n", what, number);
    signal(sig, SIG_DFL);
    raise(sig);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"more", required_argument, NULL, 'm'}, {"streams", required_argument, NULL, 's'}, {0}};
    long more = 0, streams = 0;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'm')
            more = strtol(optarg, NULL, 10);
        else if (c == 's')
            streams = strtol(optarg, NULL, 10);
        else
            return 2;
    }
    signal(SIGABRT, tell);
    for (int i = optind; i < argc; i++)
        read_path(argv[i]);
    for (size_t i = 0; i < ninputs; i++) {
        number = (long)i + 1;
        run(&inputs[i]);
    }
    run_changed(more);
    run_streams(streams);
    printf("%zu inputs, %ld made from them, %ld random streams\n", ninputs, more, streams);
    for (size_t i = 0; i < ninputs; i++)
        free(inputs[i].data);
    return 0;
}
