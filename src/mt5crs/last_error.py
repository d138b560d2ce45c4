"""What `last_error()` can say: the official package's codes with their texts (wheel 5.0.6231)."""

from mt5crs import constants as mt5

LastError = tuple[int, str]

SUCCESS: LastError = (mt5.RES_S_OK, "Success")
CALL_FAILED: LastError = (mt5.RES_E_FAIL, "Terminal: Call failed")
INVALID_PARAMS: LastError = (mt5.RES_E_INVALID_PARAMS, "Terminal: Invalid params")
OUT_OF_MEMORY: LastError = (mt5.RES_E_NO_MEMORY, "Terminal: Out of memory")
NOT_FOUND: LastError = (mt5.RES_E_NOT_FOUND, "Terminal: Not found")
AUTHORIZATION_FAILED: LastError = (mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
AUTO_TRADING_DISABLED: LastError = (
    mt5.RES_E_AUTO_TRADING_DISABLED,
    "Auto-Trading using Python API disabled in Terminal",
)
IPC_CALL_FAILED: LastError = (mt5.RES_E_INTERNAL_FAIL, "IPC call failed")
NO_IPC_CONNECTION: LastError = (mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
IPC_TIMEOUT: LastError = (mt5.RES_E_INTERNAL_FAIL_TIMEOUT, "IPC timeout")

NOT_SENT = frozenset(
    {
        mt5.RES_E_INVALID_PARAMS,
        mt5.RES_E_NO_MEMORY,
        mt5.RES_E_NOT_FOUND,
        mt5.RES_E_INVALID_VERSION,
        mt5.RES_E_AUTH_FAILED,
        mt5.RES_E_UNSUPPORTED,
        mt5.RES_E_AUTO_TRADING_DISABLED,
        mt5.RES_E_INTERNAL_FAIL_INIT,
        mt5.RES_E_INTERNAL_FAIL_CONNECT,
    }
)
"""Codes that say that a trade request did not set out; with any other one it may have been carried out."""
NO_ANSWER = frozenset(
    {
        mt5.RES_E_INTERNAL_FAIL,
        mt5.RES_E_INTERNAL_FAIL_SEND,
        mt5.RES_E_INTERNAL_FAIL_RECEIVE,
        mt5.RES_E_INTERNAL_FAIL_TIMEOUT,
    }
)
"""Codes of a call that set out to the terminal and has no answer: it may have been carried out."""
