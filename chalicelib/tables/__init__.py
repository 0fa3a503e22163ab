"""The only code that touches DynamoDB."""
