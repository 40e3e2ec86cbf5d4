/* filesystem - what kind of file system a directory lies on. */
#ifndef FLOWSPOOL_IO_FILESYSTEM_H
#define FLOWSPOOL_IO_FILESYSTEM_H

/* The name of the network or user-space file system behind fd, or NULL for a local one: where locks, leases
 * and times may be another host's. */
const char *filesystem_network_kind(int fd);

#endif
