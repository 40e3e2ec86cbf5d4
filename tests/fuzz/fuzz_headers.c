/* The headers of a reply that pace the account: three lines, of limit, remaining and Retry-After. */
#include "core/governor.h"
#include "core/retry.h"
#include "fuzz.h"

void fuzz_one(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, again[2][32];
    const char *limit = strsep(&rest, "\n"), *remaining = strsep(&rest, "\n"), *after = strsep(&rest, "\n");
    long long l = -7, r = -7, l2, r2;
    if (governor_parse_headers(limit, remaining, &l, &r)) {
        FUZZ_CHECK(r >= 0 && r <= l && l <= 1000000000, "%lld of %lld", r, l);
        snprintf(again[0], sizeof again[0], "%lld", l);
        snprintf(again[1], sizeof again[1], "%lld", r);
        FUZZ_CHECK(governor_parse_headers(again[0], again[1], &l2, &r2) && l == l2 && r == r2, "%s",
                   again[0]);
    } else {
        FUZZ_CHECK(l == -7 && r == -7, "what is no reading was written");
    }
    for (int64_t now = 0; now < INT64_C(4000000000000); now += INT64_C(897778800000)) {
        int64_t wait = retry_after_ms(after, now);
        FUZZ_CHECK(wait >= -1 && wait <= RETRY_AFTER_MAX_MS, "%lld ms", (long long)wait);
    }
    free(text);
}
