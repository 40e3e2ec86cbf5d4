/* handler - one request through its life: route, read, decide, reply. The HTTP library's callbacks. */
#ifndef FLOWSPOOL_SANDBOX_HANDLER_H
#define FLOWSPOOL_SANDBOX_HANDLER_H

#include <microhttpd.h>

/* cls is the struct server. */
enum MHD_Result handler_access(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **context);
void handler_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode how);
void handler_connection(void *cls, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what);

#endif
