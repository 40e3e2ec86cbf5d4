/* listen - the listening socket and the file that names its port. */
#ifndef FLOWSPOOL_SANDBOX_LISTEN_H
#define FLOWSPOOL_SANDBOX_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fault.h"

/* Whether this is a numeric IPv4 or IPv6 address. */
bool listen_is_address(const char *text);

/* Opens a non-blocking listening TCP socket on such an address; port 0: any, *port tells which. Returns the
 * descriptor, or -1 with *fault. */
int listen_open(const char *address, uint16_t *port, struct fault *fault);

/* Writes the port and a newline to a file that is complete or absent. */
bool listen_write_port_file(const char *path, uint16_t port, struct fault *fault);

/* Asks for as many descriptors as the connections need. Returns how many connections that allows. */
unsigned listen_allow_connections(unsigned wanted);

#endif
