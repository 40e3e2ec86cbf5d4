/* key - the account's key: where it comes from, whether it is fit to be sent, whether it changed.
 *
 * Order: --api-key-file, the service manager's credential ($CREDENTIALS_DIRECTORY/api_key),
 * $FLOWSPOOL_API_KEY (unless empty), api_key_file. First that is there. One trailing newline is dropped; CR,
 * LF, control bytes, empty or over 4 KiB is a fault; a file others can read, and a source that is overridden
 * and differs, is a warning in the log. The key itself is never printed: people see the first digits of its
 * digest.
 */
#ifndef FLOWSPOOL_IO_KEY_H
#define FLOWSPOOL_IO_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fault.h"

struct api_key {
    char *text;          /* secret; wiped by api_key_free */
    char source[512];    /* "file /etc/flowspool/key", "$FLOWSPOOL_API_KEY", ... */
    char short_hash[13]; /* first 12 hex digits of its SHA-256 */
    char *file;          /* path when it came from a file, else NULL: to notice changes */
};
/* option_file: --api-key-file or NULL. config_file: api_key_file, "" when unset. */
bool api_key_load(const char *option_file, const char *config_file, struct api_key *out, struct fault *fault);
void api_key_free(struct api_key *k);
/* A number that changes when the file does; 0 when the key came from no file. */
uint64_t api_key_signature(const struct api_key *k);

#endif
