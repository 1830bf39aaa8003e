/* SPDX-License-Identifier: Apache-2.0 */
/* XML of servers that behave, and of those that do not. */
#include "base/xml.h"

#include <setjmp.h>
#include <stdarg.h>

#include "base/limits.h"
#include "base/mem.h"
#include <cmocka.h>

static int note(void *arg, const char *path, const char *text, struct err *e) {
    buf_addf(arg, "%s=%s\n", path, text);
    return strcmp(text, "stop") == 0 ? err_set(e, ERR_STOPPED, "as asked") : 0;
}

static int walk(const char *xml, struct buf *seen, struct err *e) {
    return xml_walk(xml, strlen(xml), note, seen, ERR_STORAGE, e);
}

static void check(const char *xml, const char *want) {
    struct buf seen = BUF_INIT(MIB);
    struct err e;
    if (walk(xml, &seen, &e) != 0)
        fail_msg("%s: %s", xml, e.msg);
    assert_string_equal(buf_str(&seen), want);
    buf_release(&seen);
}

static void elements_come_with_their_place_and_text(void **state ATTR_UNUSED) {
    check("<a/>", "a=\n");
    check("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<L xmlns=\"http://s3.example/\"><C><K>x/y</K><S>5</S></C><C><K>z</K></C></L>",
          "L/C/K=x/y\nL/C/S=5\nL/C=\nL/C/K=z\nL/C=\nL=\n");
    check("<a>&lt;&amp;&gt;&quot;&apos;&#233;<![CDATA[<b>]]></a>", "a=<&>\"'\xC3\xA9<b>\n");
    check("<a>one<b/>two<!-- no --></a>", "a/b=\na=onetwo\n");
}

static void what_is_no_xml_is_an_error(void **state ATTR_UNUSED) {
    static const char *const bad[] = {"",
                                      " ",
                                      "<a>",
                                      "<a></b>",
                                      "<a/><b/>",
                                      "{}",
                                      "<a>&nbsp;</a>",
                                      "<a>\x01</a>",
                                      "<a>\xff</a>",
                                      "<a",
                                      "<a b></a>",
                                      "<html><br></html>",
                                      "<?xml version=\"1.0\" encoding=\"none-such\"?><a/>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf seen = BUF_INIT(MIB);
        struct err e;
        assert_int_equal(walk(bad[i], &seen, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "no XML"));
        buf_release(&seen);
    }
}

static void document_types_are_refused(void **state ATTR_UNUSED) {
    static const char laughs[] =
        "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;&x;\"><!ENTITY z \"&y;&y;&y;\">]>"
        "<a>&z;</a>";
    static const char own[] = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                      system[] = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
                      far[] = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    static const char *const bad[] = {"<!DOCTYPE a><a/>", own, system, far, laughs};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf seen = BUF_INIT(MIB);
        struct err e;
        assert_int_equal(walk(bad[i], &seen, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, "document type"));
        assert_int_equal(seen.len, 0);
        buf_release(&seen);
    }
}

static char *repeated(const char *s, int times) {
    struct buf b = BUF_INIT(16 * MIB);
    for (int i = 0; i < times; i++)
        buf_add_str(&b, s);
    return buf_detach(&b);
}

static void bounds_hold(void **state ATTR_UNUSED) {
    _cleanup_(freep) char *opens = repeated("<a>", XML_DEPTH + 1), *many = repeated("<a>", 100000),
                          *name = repeated("n", XML_PATH), *text = repeated("t", XML_TEXT + 1);
    _cleanup_(freep) char *long_name = xasprintf("<%s/>", name),
                          *long_text = xasprintf("<a>%s</a>", text);
    const struct {
        const char *xml, *says;
    } cases[] = {
        {opens, "too deep"}, {many, "too deep"}, {long_name, "too long"}, {long_text, "too long"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf seen = BUF_INIT(MIB);
        struct err e;
        assert_int_equal(walk(cases[i].xml, &seen, &e), ERR_STORAGE);
        assert_non_null(strstr(e.msg, cases[i].says));
        buf_release(&seen);
    }
    opens[3 * XML_DEPTH] = '\0';
    _cleanup_(freep) char *closes = repeated("</a>", XML_DEPTH);
    _cleanup_(freep) char *deepest = xasprintf("%s%s", opens, closes);
    struct buf seen = BUF_INIT(MIB);
    struct err e;
    assert_int_equal(walk(deepest, &seen, &e), 0);
    buf_release(&seen);
}

static void the_walk_ends_when_told_to(void **state ATTR_UNUSED) {
    struct buf seen = BUF_INIT(MIB);
    struct err e;
    assert_int_equal(walk("<a><b>1</b><c>stop</c><d>2</d></a>", &seen, &e), ERR_STOPPED);
    assert_string_equal(buf_str(&seen), "a/b=1\na/c=stop\n");
    assert_string_equal(e.msg, "as asked");
    buf_release(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_with_their_place_and_text),
        cmocka_unit_test(what_is_no_xml_is_an_error),
        cmocka_unit_test(document_types_are_refused),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(the_walk_ends_when_told_to),
    };
    return cmocka_run_group_tests_name("base/xml", tests, NULL, NULL);
}
