/* jobjson - a job as programs are told about it, by list and show. Members are only ever added. */
#ifndef FLOWSPOOL_CLI_JOBJSON_H
#define FLOWSPOOL_CLI_JOBJSON_H

#include "cli/jsonline.h"
#include "io/store.h"

/* The members, without the braces around them. */
void job_json(struct json_line *j, const struct job_row *r);
/* The same of a file that is refused because its outcome's name is taken or impossible. */
void job_json_refused(struct json_line *j, const struct file_row *f);

#endif
