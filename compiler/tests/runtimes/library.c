/* A library that says whose it is. */
const char *made_by(void) { return MADE_BY; }
