/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cmd/cmd.h"

static int take_day(const char *verb, const char *option, const char *text, int32_t *ret,
                    struct err *e) {
    if (!text || day_parse(text, strlen(text), ret))
        return 0;
    err_set(e, ERR_USAGE, "%s: --%s '%.100s' is not a day", verb, option, text);
    return err_hint(e, "days are written 2026-11-22");
}

int cmd_days(const char *verb, const char *from, const char *to, int32_t *ret_from, int32_t *ret_to,
             struct err *e) {
    int r = take_day(verb, "from", from, ret_from, e);
    if (r == 0)
        r = take_day(verb, "to", to, ret_to, e);
    if (r < 0 || !from || !to || *ret_from <= *ret_to)
        return r;
    return err_set(e, ERR_USAGE, "%s: --from %s is after --to %s", verb, from, to);
}
