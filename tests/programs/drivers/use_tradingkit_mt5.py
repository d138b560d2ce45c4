# mypy: disable-error-code="import-not-found, import-untyped"
"""tradingkit-mt5: an asyncio broker over a thread pool; account, bars, an order and its history."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

from trading_lib import BrokerType, OrderRequest, OrderType, Timeframe, TradeAction, create_broker


async def main() -> None:
    async with create_broker(BrokerType.MT5) as broker:
        assert await broker.connect(login=5001001, password="simulated", server="MT5CRS-Simulated")
        assert await broker.is_connected()
        account, symbol, tick = await asyncio.gather(
            broker.get_account_info(), broker.get_symbol_info("EURUSD"), broker.get_symbol_tick("EURUSD")
        )
        assert account.balance == Decimal(10000)
        assert symbol.digits == 5
        assert 0 < tick.bid < tick.ask
        assert len(await broker.get_bars("EURUSD", Timeframe.H1, start=0, count=100)) == 100

        request = OrderRequest(
            action=TradeAction.DEAL, symbol="EURUSD", volume=Decimal("0.1"), type=OrderType.BUY, deviation=10
        )
        assert (await broker.check_order(request)).valid
        bought = await broker.send_order(request)
        assert bought.success
        [position] = await broker.get_positions(symbol="EURUSD")
        assert (position.ticket, position.volume) == (bought.order, Decimal("0.1"))
        closing = request.model_copy(update={"type": OrderType.SELL, "position": position.ticket})
        assert (await broker.send_order(closing)).success
        assert await broker.get_positions_total() == 0
        now = datetime.now()  # noqa: DTZ005 - naive, as programs have it
        deals = await broker.get_history_deals(now - timedelta(days=1), now + timedelta(days=1))
        assert [each.position_id for each in deals][-2:] == [position.ticket, position.ticket]
        assert await broker.subscribe_book("EURUSD")
        await broker.unsubscribe_book("EURUSD")
    assert not await broker.is_connected()


asyncio.run(main())
