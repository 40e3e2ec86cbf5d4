/* shellword - a file's name in a command that people copy into a shell. Pure. */
#ifndef FLOWSPOOL_CORE_SHELLWORD_H
#define FLOWSPOOL_CORE_SHELLWORD_H

/* The name as an operand: in quotes where a shell would read more into it (whoever may drop a job chooses its
 * name), after "-- " where it would be an option. Control characters and bad UTF-8 are shown as \\xNN: it
 * goes to a terminal, and such a name is better given as a glob. malloc'd; NULL: no memory. */
char *shell_operand(const char *name);

#endif
