/* delivery - how an answer's bytes reach the client: whole, or spoiled by a fault. */
#ifndef FLOWSPOOL_SANDBOX_DELIVERY_H
#define FLOWSPOOL_SANDBOX_DELIVERY_H

#include "sandbox/answer.h"
#include "sandbox/exchange.h"

/* Sends the run's answer, or the fault that takes its place, and counts its status. MHD_NO: the
 * connection is to be closed. */
enum MHD_Result delivery_send(struct exchange *x);

/* Answers 200 with malloc'd JSON, which it takes over; NULL closes the connection. */
enum MHD_Result delivery_send_json(struct exchange *x, char *json, size_t len);

/* A TCP reset instead of an orderly end; the caller then returns MHD_NO. */
void delivery_reset(struct exchange *x);

#endif
