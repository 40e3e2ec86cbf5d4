/* Submits a job, waits for its outcome and prints the result.
 *
 *   cc submit_and_wait.c $(pkg-config --cflags --libs flowspool) -o submit_and_wait
 *   ./submit_and_wait /var/spool/flowspool wf_story "a dog named charlie"
 */
#include <flowspool/flowspool.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct flowspool_error *error = NULL;
    struct flowspool_outcome *outcome = NULL;
    char *path = NULL;
    int status = 1;
    if (argc != 4) {
        fprintf(stderr, "usage: submit_and_wait SPOOL WORKFLOW STORY\n");
        return 2;
    }
    struct flowspool_job *job = flowspool_job_new(argv[2]);
    if (job != NULL)
        flowspool_job_input(job, "story", argv[3]);
    if (job == NULL || flowspool_submit(argv[1], job, NULL, &path, &error) != 0 ||
        flowspool_wait(argv[1], path, -1, &outcome, &error) != 1)
        fprintf(stderr, "%s\n", error != NULL ? flowspool_error_message(error) : "out of memory");
    else if (!flowspool_outcome_success(outcome))
        fprintf(stderr, "%s: %s\n", path, flowspool_outcome_error_message(outcome));
    else
        status = puts(flowspool_outcome_result(outcome, NULL)) < 0;
    flowspool_outcome_free(outcome);
    flowspool_error_free(error);
    flowspool_free(path);
    flowspool_job_free(job);
    return status;
}
