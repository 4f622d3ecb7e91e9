// Imported before the tests of a group that runs with the fast lane off: see
// test/support/gateway.ts.
process.env.WXGATE_TEST_LANE = 'general'
