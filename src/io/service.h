/* service - tells the service manager (sd_notify(3)) where we are, and that the loop still turns.
 *
 * Without $NOTIFY_SOCKET nothing is told; where $WATCHDOG_USEC asks for it, the loop sends a sign of life
 * three times in that time. What cannot be told is no error: the manager notices by itself. The environment
 * is read once. The loop is not kept alive.
 */
#ifndef FLOWSPOOL_IO_SERVICE_H
#define FLOWSPOOL_IO_SERVICE_H

#include <uv.h>

struct service;

/* NULL: there is no manager, or no memory; every call takes that. */
struct service *service_open(uv_loop_t *loop);
void service_ready(struct service *s);
/* Reading the configuration again; service_ready() ends it. */
void service_reloading(struct service *s);
void service_stopping(struct service *s);
/* The memory is freed when the loop runs next. */
void service_close(struct service *s);

#endif
