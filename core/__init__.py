"""What every room stands on: time, ids, money, conditions, the database, audit, errors. No affiliate noun in it."""
