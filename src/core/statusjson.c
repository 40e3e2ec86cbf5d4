#include "core/statusjson.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonquote.h"

bool statusjson_put_text(cJSON *object, const char *name, const char *text)
{
    if (text == NULL)
        return cJSON_AddNullToObject(object, name) != NULL;
    char *quoted = json_quote(text, strlen(text));
    bool ok = quoted != NULL && cJSON_AddRawToObject(object, name, quoted) != NULL;
    free(quoted);
    return ok;
}

bool statusjson_put_int(cJSON *object, const char *name, int64_t value)
{
    return cJSON_AddNumberToObject(object, name, (double)value) != NULL;
}

bool statusjson_put_known(cJSON *object, const char *name, int64_t value)
{
    return value < 0 ? cJSON_AddNullToObject(object, name) != NULL : statusjson_put_int(object, name, value);
}

bool statusjson_put_bool(cJSON *object, const char *name, bool value)
{
    return cJSON_AddBoolToObject(object, name, value) != NULL;
}

bool statusjson_put_real(cJSON *object, const char *name, double value)
{
    double rounded = isfinite(value) ? round(value * 1000) / 1000 : 0;
    return cJSON_AddNumberToObject(object, name, rounded) != NULL;
}

char *statusjson_finish(cJSON *object, bool ok)
{
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}

cJSON *statusjson_parse(const char *text)
{
    cJSON *root = cJSON_ParseWithOpts(text, NULL, true);
    if (cJSON_IsObject(root))
        return root;
    cJSON_Delete(root);
    return NULL;
}

bool statusjson_whole(const cJSON *number, int64_t *out)
{
    if (!cJSON_IsNumber(number))
        return false;
    double value = number->valuedouble;
    if (!(value >= -(double)STATUSJSON_INT_MAX && value <= (double)STATUSJSON_INT_MAX))
        return false;
    *out = (int64_t)value;
    return !((double)*out < value || (double)*out > value);
}

int64_t statusjson_int(const cJSON *object, const char *name, int64_t fallback)
{
    int64_t value = 0;
    return statusjson_whole(cJSON_GetObjectItemCaseSensitive(object, name), &value) ? value : fallback;
}

bool statusjson_bool(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

double statusjson_real(const cJSON *object, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(number) && isfinite(number->valuedouble) ? number->valuedouble : 0;
}

bool statusjson_text(const cJSON *object, const char *name, struct arena *a, const char *fallback,
                     const char **out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    *out = fallback;
    if (!cJSON_IsString(item))
        return true;
    *out = arena_copy(a, item->valuestring);
    return *out != NULL;
}
