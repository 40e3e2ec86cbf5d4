#include "cli/offline.h"

int offline_change(const struct config *cfg, store_edit_fn edit, void *arg)
{
    char message[512] = "";
    switch (store_edit(cfg->state_dir, edit, arg, message, sizeof message)) {
    case STORE_EDIT_OK:
        return CLI_OK;
    case STORE_EDIT_LOCKED:
        cli_complain("%s and does not answer: it is starting, stopping or stuck", message);
        return CLI_LOCKED;
    case STORE_EDIT_ABSENT:
        cli_no_state(cfg);
        return CLI_USAGE;
    case STORE_EDIT_FAILED:
        break;
    }
    cli_complain("%s", message);
    return CLI_USAGE;
}

int offline_refuse(enum ask_rc rc, const char *reason)
{
    if (rc == ASK_SILENT)
        cli_complain("flowspoold runs but does not answer: it is stuck or very busy; nothing was changed");
    else if (rc == ASK_UNSURE)
        cli_complain("flowspoold got the order and does not answer: it may still carry it out");
    else
        cli_complain("flowspoold: %s", reason);
    return rc == ASK_SILENT || rc == ASK_UNSURE ? CLI_LOCKED : CLI_USAGE;
}
